package oteltrace_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// call makes one call through a chain with tracing and returns the header that the
// server got.
func call(opts ...oteltrace.Option) http.Header {
	tracing, err := oteltrace.New(opts...)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	var got http.Header
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		got = req.Header
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	})
	chain, err := transport.New(base, tracing.Client()...)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	resp, err := (&http.Client{Transport: chain}).Get("http://users.test/")
	if err != nil {
		fmt.Println(err)
		return nil
	}
	resp.Body.Close()
	return got
}

func ExampleWithTracerProvider() {
	recorder := tracetest.NewSpanRecorder() // a program has an exporter here
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	call(oteltrace.WithTracerProvider(provider))
	for _, s := range recorder.Ended() {
		fmt.Println(s.SpanKind(), s.Name())
	}
	// Output:
	// client HTTP GET
	// internal evenkeel.call
}

// Without a propagator the server does not know of the trace.
func ExampleWithPropagators() {
	provider := oteltrace.WithTracerProvider(sdktrace.NewTracerProvider())
	fmt.Println("default:", len(call(provider).Get("Traceparent")) > 0)
	fmt.Println("with W3C Trace Context:", len(call(provider, oteltrace.WithPropagators(propagation.TraceContext{})).Get("Traceparent")) > 0)
	// Output:
	// default: false
	// with W3C Trace Context: true
}

func ExampleWithMeterProvider() {
	provider := &meters{} // a program has one of the OpenTelemetry SDK here
	call(oteltrace.WithMeterProvider(provider))
	fmt.Println("durations recorded:", provider.recorded.Load() > 0)
	// Output:
	// durations recorded: true
}

// Health checks get no span.
func ExampleWithHTTPOptions() {
	recorder := tracetest.NewSpanRecorder()
	tracing, err := oteltrace.New(
		oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))),
		oteltrace.WithHTTPOptions(otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" })),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := tracing.Server(http.NotFoundHandler())
	for _, path := range []string{"/healthz", "/users"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	fmt.Println(len(recorder.Ended()), "span")
	// Output:
	// 1 span
}
