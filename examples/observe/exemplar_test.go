package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// withTrace adds the trace ID to each line.
type withTrace struct{ slog.Handler }

func (h withTrace) Handle(ctx context.Context, r slog.Record) error {
	id, _ := traceOf(ctx)
	r.AddAttrs(slog.String("trace_id", id))
	return h.Handler.Handle(ctx, r)
}

// The metric and the log line of a call that the guard refused lead to its trace,
// although its span began inside the chain.
func TestMetricAndLogLeadToTheTrace(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := prommetrics.New(registry, prommetrics.WithExemplars(traceOf))
	if err != nil {
		t.Fatal(err)
	}
	recorder := tracetest.NewSpanRecorder()
	tracing, err := oteltrace.New(oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody, Request: req}, nil
	})
	chain, err := transport.New(base, append(tracing.Client(),
		transport.WithObserver(metrics.Client()),
		transport.WithObserver(transport.Log(slog.New(withTrace{slog.NewTextHandler(&log, nil)}))),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "http://users.test/", nil)
	resp, err := chain.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	spans := recorder.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want call and attempt", len(spans))
	}
	id := spans[0].SpanContext().TraceID().String()

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	if want := `evenkeel_client_calls_total{service="users.test",stop="method"} 1.0 # {trace_id="` + id + `"}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("no %s in the scrape", want)
	}
	if want := "trace_id=" + id; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "stop=method") {
		t.Errorf("logged %s, want %s", log.String(), want)
	}
}
