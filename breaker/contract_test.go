package breaker_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport/transporttest"
)

func TestContract(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{
		"defaults":   {breaker.WithTripRatio(1, 1000)}, // the checks fail often, and one after the other
		"slow calls": {breaker.WithTripRatio(1, 1000), breaker.WithSlowCall(time.Minute, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper { return wrapped(t, base, opts...) })
		})
	}
}

func TestContractOfAnOpenCircuit(t *testing.T) {
	transporttest.RunRefusing(t, func(base http.RoundTripper) http.RoundTripper {
		rt := wrapped(t, base, breaker.WithTripRatio(1, 1), breaker.WithFailureIf(func(*http.Response, error) bool { return true }))
		return rt
	})
}

func wrapped(t *testing.T, base http.RoundTripper, opts ...breaker.Option) http.RoundTripper {
	t.Helper()
	set, err := breaker.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set.Wrap(base)
}
