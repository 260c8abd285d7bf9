package oteltrace_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// What tracing adds to a call. The lines of otelhttp are what its Transport
// costs by itself, around the chain.
func BenchmarkClient(b *testing.B) {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: make(http.Header), Body: http.NoBody, Request: req}, nil
	})
	bare, err := transport.New(base)
	if err != nil {
		b.Fatal(err)
	}
	with := func(opts ...oteltrace.Option) http.RoundTripper {
		tracing, err := oteltrace.New(append([]oteltrace.Option{oteltrace.WithPropagators(w3c)}, opts...)...)
		if err != nil {
			b.Fatal(err)
		}
		rt, err := transport.New(base, tracing.Client()...)
		if err != nil {
			b.Fatal(err)
		}
		return rt
	}
	none, all := noop.NewTracerProvider(), sdktrace.NewTracerProvider()
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	for _, bm := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"chain", bare},
		{"no-op", with(oteltrace.WithTracerProvider(none))},
		{"unset", with()},
		{"unsampled", with(oteltrace.WithTracerProvider(never))},
		{"sampled", with(oteltrace.WithTracerProvider(all))},
		{"otelhttp no-op", otelhttp.NewTransport(bare, otelhttp.WithTracerProvider(none), otelhttp.WithPropagators(w3c))},
		{"otelhttp sampled", otelhttp.NewTransport(bare, otelhttp.WithTracerProvider(all), otelhttp.WithPropagators(w3c))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "http://users.test/", nil)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := bm.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}
