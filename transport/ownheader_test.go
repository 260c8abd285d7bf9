package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// signer is a layer as many are written: it adds to the Header that it is
// given, and reads all of it, as net/http does.
func signer(next http.RoundTripper) http.RoundTripper {
	return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		for i := range 20 {
			req.Header.Set(fmt.Sprint("X-Part-", i), "x")
		}
		req.Header.Add("X-Signed", fmt.Sprint(transport.Attempt(req.Context())))
		resp, err := next.RoundTrip(req)
		for range req.Header {
		}
		return resp, err
	})
}

// Layers that write to the Header write to one that is nobody else's, with
// copies under way at a time or one after the other.
func TestEachAttemptHasItsHeader(t *testing.T) {
	hedged := transport.WithHedging(transport.Hedge{Delay: time.Millisecond, Ratio: 1})
	for _, tt := range []struct {
		name   string
		opts   []transport.Option
		base   bool // signs, too
		header http.Header
		copies []copyOf
		want   []string // X-Signed of each attempt
	}{
		{name: "a hedge and a layer", opts: []transport.Option{hedged, transport.WithAttemptLayer(signer)}, copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}, want: []string{"[1]", "[2]"}},
		{name: "a hedge and two layers", opts: []transport.Option{hedged, transport.WithAttemptLayer(layered, signer)}, copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}, want: []string{"[1]", "[2]"}},
		{name: "a hedge and a base", opts: []transport.Option{hedged}, base: true, copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}, want: []string{"[1]", "[2]"}},
		{name: "a hedge and a breaker", opts: []transport.Option{hedged, transport.WithBreaker(signer)}, copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}, want: []string{"[1]", "[2]"}},
		{name: "a hedge, and a retry of both", opts: []transport.Option{hedged, transport.WithAttemptLayer(signer)}, copies: []copyOf{{after: time.Second, status: 503}, {after: time.Second, status: 503}, {status: 200}}, want: []string{"[1]", "[2]", "[3]"}},
		{name: "retries and a layer", opts: []transport.Option{transport.WithAttemptLayer(signer)}, copies: []copyOf{{status: 503}, {status: 503}, {status: 200}}, want: []string{"[1]", "[2]", "[3]"}},
		{name: "with marks of the caller's own", header: http.Header{"Retry-Attempt": {"1"}, "Request-Timeout-Ms": {"1000"}}, opts: []transport.Option{transport.WithAttemptLayer(signer)}, copies: []copyOf{{status: 503}, {status: 503}, {status: 200}}, want: []string{"[1]", "[2]", "[3]"}},
		{name: "with a timeout to announce", opts: []transport.Option{hedged, transport.WithAttemptLayer(signer), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Hour})}, copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}, want: []string{"[1]", "[2]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &replicas{copies: tt.copies}
				var mu sync.Mutex
				var signed []string
				var base http.RoundTripper = transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					signed = append(signed, fmt.Sprint(req.Header["X-Signed"]))
					mu.Unlock()
					return inner.RoundTrip(req)
				})
				if tt.base {
					base = signer(base)
				}
				req := get(t, context.Background())
				req.Header = http.Header{"X-Caller": {"1"}}
				for name, values := range tt.header {
					req.Header[name] = values
				}
				before := req.Header.Clone()
				resp, err := build(t, base, append(tt.opts, unlimited())...).RoundTrip(req)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v; want 200", resp, err)
				}
				resp.Body.Close()
				synctest.Wait()
				if !reflect.DeepEqual(signed, tt.want) {
					t.Errorf("attempts were signed %v, want %v", signed, tt.want)
				}
				if !reflect.DeepEqual(req.Header, before) {
					t.Errorf("the caller's Header became %v, from %v", req.Header, before)
				}
			})
		})
	}
}
