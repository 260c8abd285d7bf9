package oteltrace_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// meters counts what is recorded in histograms.
type meters struct {
	metricnoop.MeterProvider
	recorded atomic.Int64
}

func (m *meters) Meter(string, ...metric.MeterOption) metric.Meter { return &meter{provider: m} }

type meter struct {
	metricnoop.Meter
	provider *meters
}

func (m *meter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return &histogram{provider: m.provider}, nil
}

type histogram struct {
	metricnoop.Float64Histogram
	provider *meters
}

func (h *histogram) Record(context.Context, float64, ...metric.RecordOption) {
	h.provider.recorded.Add(1)
}
func (h *histogram) Enabled(context.Context) bool { return true }

// Metrics are recorded even if there is nothing to trace.
func TestMetersAreAskedFor(t *testing.T) {
	m := &meters{}
	for name, provider := range map[string]trace.TracerProvider{
		"noop": noop.NewTracerProvider(), "not that type": disguised{noop.NewTracerProvider()},
	} {
		tracing, err := oteltrace.New(oteltrace.WithTracerProvider(provider), oteltrace.WithMeterProvider(m))
		if err != nil {
			t.Fatal(err)
		}
		m.recorded.Store(0)
		base := &at{do: func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 200, "x"), nil }}
		resp, err := chain(t, tracing, base).RoundTrip(request(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if m.recorded.Load() == 0 {
			t.Errorf("%s: nothing was recorded of an attempt", name)
		}
		m.recorded.Store(0)
		tracing.Server(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if m.recorded.Load() == 0 {
			t.Errorf("%s: nothing was recorded of a request", name)
		}
	}
}
