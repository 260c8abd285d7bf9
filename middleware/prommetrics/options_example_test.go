package prommetrics_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// called records one call to each service and returns the registry.
func called(services []string, opts ...prommetrics.Option) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	metrics, err := prommetrics.New(reg, opts...)
	if err != nil {
		fmt.Println(err)
		return reg
	}
	for _, service := range services {
		metrics.Client().OnCall(context.Background(), transport.Call{
			Service: service, Attempts: 1, Stop: transport.StopSucceeded, Elapsed: 30 * time.Millisecond,
		})
	}
	return reg
}

func ExampleWithMaxServices() {
	reg := called([]string{"users", "orders", "mail", "search"}, prommetrics.WithMaxServices(2))
	show(reg, "evenkeel_client_calls_total")
	// Output:
	// evenkeel_client_calls_total{service="(other services)",stop="succeeded"} 2
	// evenkeel_client_calls_total{service="orders",stop="succeeded"} 1
	// evenkeel_client_calls_total{service="users",stop="succeeded"} 1
}

// A service that is named has its series before the first call, and beyond the limit.
func ExampleWithServices() {
	reg := called([]string{"users", "orders", "mail"}, prommetrics.WithMaxServices(1), prommetrics.WithServices("mail"))
	show(reg, "evenkeel_client_calls_total")
	// Output:
	// evenkeel_client_calls_total{service="(other services)",stop="succeeded"} 2
	// evenkeel_client_calls_total{service="mail",stop="succeeded"} 1
}

func ExampleWithBuckets() {
	reg := called([]string{"users"}, prommetrics.WithBuckets(0.01, 0.1, 1))
	show(reg, "evenkeel_client_call_duration_seconds_bucket")
	// Output:
	// evenkeel_client_call_duration_seconds_bucket{service="users",le="0.1"} 1
	// evenkeel_client_call_duration_seconds_bucket{service="users",le="1"} 1
	// evenkeel_client_call_duration_seconds_bucket{service="users",le="+Inf"} 1
}

// Native histograms go out in the protobuf format; the classic buckets stay.
func ExampleWithNativeHistograms() {
	reg := called([]string{"users"}, prommetrics.WithNativeHistograms())
	families, err := reg.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		if f.GetName() == "evenkeel_client_call_duration_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			fmt.Println(len(h.GetBucket()), "classic buckets")
			fmt.Println(len(h.GetPositiveDelta()), "native bucket with a call in it")
		}
	}
	// Output:
	// 11 classic buckets
	// 1 native bucket with a call in it
}

// A program with OpenTelemetry takes the trace from the span in the context.
func ExampleWithExemplars() {
	trace := func(context.Context) (traceID string, sampled bool) { return "4bf92f3577b34da6", true }
	reg := prometheus.NewRegistry()
	metrics, err := prommetrics.New(reg, prommetrics.WithExemplars(trace))
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics.Server().OnRequest(context.Background(), middleware.Event{Status: 503, Shed: middleware.ShedQueue})

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text")
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	for line := range strings.Lines(w.Body.String()) {
		if series, exemplar, ok := strings.Cut(line, " # "); ok {
			fmt.Println(series)
			fmt.Println(strings.Fields(exemplar)[0])
		}
	}
	// Output:
	// evenkeel_server_shed_total{reason="queue"} 1.0
	// {trace_id="4bf92f3577b34da6"}
}
