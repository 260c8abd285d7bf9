package oteltrace_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// print shows spans as a tree.
func print(spans []sdktrace.ReadOnlySpan) {
	var below func(parent sdktrace.ReadOnlySpan, depth int)
	below = func(parent sdktrace.ReadOnlySpan, depth int) {
		for _, s := range spans {
			switch {
			case parent == nil && s.Parent().IsValid():
			case parent != nil && s.Parent().SpanID() != parent.SpanContext().SpanID():
			default:
				fmt.Print(strings.Repeat("  ", depth), s.SpanKind(), " ", s.Name())
				for _, kv := range s.Attributes() {
					switch kv.Key {
					case "evenkeel.stop", "evenkeel.attempts", "http.request.resend_count", "http.response.status_code":
						fmt.Printf(" %s=%s", kv.Key, kv.Value.String())
					}
				}
				fmt.Println()
				below(s, depth+1)
			}
		}
	}
	below(nil, 0)
}

func Example() {
	recorder := tracetest.NewSpanRecorder() // a program has an exporter here
	tracing, err := oteltrace.New(
		oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))),
		oteltrace.WithPropagators(propagation.TraceContext{}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	busy := true
	server := httptest.NewServer(tracing.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if busy {
			busy = false
			w.WriteHeader(http.StatusBadGateway)
		}
	})))
	chain, err := transport.New(nil, append(tracing.Client(),
		transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}),
	)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: chain}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close() // where the span of the call ends
	server.Close()
	print(recorder.Ended())
	// Output:
	// internal evenkeel.call evenkeel.attempts=2 evenkeel.stop=succeeded
	//   client HTTP GET http.response.status_code=502
	//     server GET http.response.status_code=502
	//   client HTTP GET http.request.resend_count=1 http.response.status_code=200
	//     server GET http.response.status_code=200
}

// The mistake is otelhttp around the chain: it sees one request, whose span says
// 200 and nothing of the attempts that failed.
func ExampleTracing_Client_incorrect() {
	recorder := tracetest.NewSpanRecorder()
	tracing, _ := oteltrace.New(oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))))
	sent := 0
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		status := http.StatusOK
		if sent < 3 {
			status = http.StatusBadGateway
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
	})
	chain, _ := transport.New(base, transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}))

	client := &http.Client{Transport: tracing.Attempt(chain)}
	resp, err := client.Get("http://users.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	print(recorder.Ended())
	fmt.Println(sent, "attempts")
	// Output:
	// client HTTP GET http.response.status_code=200
	// 3 attempts
}
