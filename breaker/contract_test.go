package breaker_test

import (
	"errors"
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
		set, err := breaker.New(breaker.WithTripRatio(1, 1), breaker.WithServiceName(func(*http.Request) string { return "peer" }))
		if err != nil {
			t.Fatal(err)
		}
		down := set.Wrap(refusing{})
		req, err := http.NewRequest("GET", "http://peer.test", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := down.RoundTrip(req); err == nil || set.State("peer") != breaker.StateOpen {
			t.Fatalf("after %v the circuit is %v, want it open", err, set.State("peer"))
		}
		return set.Wrap(base)
	})
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("down") }

func wrapped(t *testing.T, base http.RoundTripper, opts ...breaker.Option) http.RoundTripper {
	t.Helper()
	set, err := breaker.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set.Wrap(base)
}
