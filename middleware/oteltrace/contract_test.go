package oteltrace_test

import (
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"github.com/datapunk/evenkeel/transport/transporttest"
	"go.opentelemetry.io/otel/trace/noop"
)

// What is seen is what would have happened unseen.
func TestContract(t *testing.T) {
	traced, _ := traced(t)
	off, err := oteltrace.New(oteltrace.WithTracerProvider(noop.NewTracerProvider()), oteltrace.WithPropagators(w3c))
	if err != nil {
		t.Fatal(err)
	}
	unset, err := oteltrace.New(oteltrace.WithTracerProvider(disguised{noop.NewTracerProvider()}), oteltrace.WithPropagators(w3c))
	if err != nil {
		t.Fatal(err)
	}
	for name, tracing := range map[string]*oteltrace.Tracing{"traced": traced, "off": off, "unset": unset} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
				return transport.Chain(base, tracing.Call, tracing.Attempt)
			})
		})
	}
}
