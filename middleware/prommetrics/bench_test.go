package prommetrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var requestLabels = []string{"code", "method"}

// What promhttp adds is the difference of its line to bare, what prommetrics
// adds that of its line to chain: both count, and observe a duration.
func BenchmarkClient(b *testing.B) {
	bare := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: make(http.Header), Body: http.NoBody, Request: req}, nil
	})
	chain := func(opts ...transport.Option) http.RoundTripper {
		rt, err := transport.New(bare, opts...)
		if err != nil {
			b.Fatal(err)
		}
		return rt
	}
	metrics := func(opts ...prommetrics.Option) transport.Option {
		m, err := prommetrics.New(prometheus.NewRegistry(), opts...)
		if err != nil {
			b.Fatal(err)
		}
		return transport.WithObserver(m.Client())
	}
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total"}, requestLabels)
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duration_seconds"}, requestLabels)
	for _, bm := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", bare},
		{"promhttp", promhttp.InstrumentRoundTripperCounter(counter, promhttp.InstrumentRoundTripperDuration(duration, bare))},
		{"chain", chain()},
		{"prommetrics", chain(metrics())},
		{"prommetrics native", chain(metrics(prommetrics.WithNativeHistograms()))},
		{"prommetrics exemplars", chain(metrics(prommetrics.WithExemplars(traceOf)))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "http://users.test/", nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bm.rt.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nullWriter is an http.ResponseWriter that costs nothing.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header         { return w.header }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

func BenchmarkServer(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	chain := func(opts ...middleware.Option) http.Handler {
		wrap, err := middleware.New(append(opts, middleware.WithConcurrency(100))...)
		if err != nil {
			b.Fatal(err)
		}
		return wrap(bare)
	}
	metrics := func(opts ...prommetrics.Option) middleware.Option {
		m, err := prommetrics.New(prometheus.NewRegistry(), opts...)
		if err != nil {
			b.Fatal(err)
		}
		return middleware.WithObserver(m.Server())
	}
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, requestLabels)
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duration_seconds"}, requestLabels)
	for _, bm := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare", bare},
		{"promhttp", promhttp.InstrumentHandlerCounter(counter, promhttp.InstrumentHandlerDuration(duration, bare))},
		{"chain", chain()},
		{"prommetrics", chain(metrics())},
		{"prommetrics native", chain(metrics(prommetrics.WithNativeHistograms()))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			w, req := nullWriter{make(http.Header)}, httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				bm.handler.ServeHTTP(w, req)
			}
		})
	}
}
