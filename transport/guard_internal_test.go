package transport

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// BenchmarkGuardLayer is what the guard adds to an attempt while it is open,
// beside two looks at the clock, which it needs for those that it watches.
func BenchmarkGuardLayer(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	next := RoundTripperFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	guard := newGuardLayer(next)
	c := &call{policy: Policy{AttemptTimeout: time.Second}.filled()}
	c.record.Service = "api.test"
	ctx := &attemptCtx{Context: context.Background(), run: &run{call: c}, number: 1}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			if _, err := next.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			guard.clock()
			guard.clock()
		}
	})
	b.Run("guard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := guard.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
