package transport_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A call that is made for an inbound request leaves retries to the others of
// its chain where they are at it.
func TestRetriesOfAChainDoNotMultiply(t *testing.T) {
	for _, tt := range []struct {
		name    string
		inbound int  // attempt
		saidNo  bool // by an earlier call for the same request
		answer  func(http.Header) int
		sent    int
		stop    transport.StopReason
		passed  bool // up
	}{
		{name: "first attempt above", inbound: 1, sent: 3, stop: transport.StopAttempts, passed: true},
		{name: "attempt unknown", sent: 3, stop: transport.StopAttempts, passed: true},
		{name: "a retry above", inbound: 2, sent: 1, stop: transport.StopDisabled},
		{name: "no from an earlier call", inbound: 1, saidNo: true, sent: 1, stop: transport.StopServerSaidNo, passed: true},
		{name: "no from below", inbound: 1, sent: 1, stop: transport.StopServerSaidNo, passed: true, answer: func(h http.Header) int {
			h.Set("X-Should-Retry", "false")
			return 503
		}},
		{name: "success", inbound: 1, sent: 1, stop: transport.StopSucceeded, answer: func(http.Header) int { return 200 }},
		{name: "the caller's fault", inbound: 1, sent: 1, stop: transport.StopNotRetryable, answer: func(http.Header) int { return 404 }},
	} {
		sent := 0
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			w := httptest.NewRecorder()
			status := 503
			if tt.answer != nil {
				status = tt.answer(w.Header())
			}
			w.WriteHeader(status)
			return w.Result(), nil
		})
		chain, err := transport.New(base, transport.WithBudget(nil), transport.WithPolicy(transport.Policy{MaxAttempts: 3, BaseDelay: time.Nanosecond}))
		if err != nil {
			t.Fatal(err)
		}
		hop := &headers.Hop{Attempt: tt.inbound}
		if tt.saidNo {
			hop.SayNo()
		}
		req := httptest.NewRequest("GET", "http://below/", nil).WithContext(headers.WithHop(t.Context(), hop))
		resp, err := chain.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := transport.CallOf(resp)
		if sent != tt.sent || c.Stop != tt.stop || hop.SaidNo() != tt.passed {
			t.Errorf("%s: sent %d, stop %q, passed up %v; want %d, %q, %v", tt.name, sent, c.Stop, hop.SaidNo(), tt.sent, tt.stop, tt.passed)
		}
	}
}

// Attempts that were used up while retries help are chance, and no reason for
// those above not to try again.
func TestChanceIsNotPassedUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fails  bool // every call before
		passed bool
	}{
		{name: "retries help", passed: false},
		{name: "nothing helps", fails: true, passed: true},
	} {
		status := 0
		base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
		})
		chain, err := transport.New(base, transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: time.Nanosecond}))
		if err != nil {
			t.Fatal(err)
		}
		call := func() (*headers.Hop, transport.StopReason) {
			hop := &headers.Hop{Attempt: 1}
			resp, err := chain.RoundTrip(httptest.NewRequest("GET", "http://below/", nil).WithContext(headers.WithHop(t.Context(), hop)))
			if err != nil {
				t.Fatal(err)
			}
			c, _ := transport.CallOf(resp)
			return hop, c.Stop
		}
		for range 200 {
			if status = 200; tt.fails {
				status = 500
			}
			call()
		}
		status = 500
		hop, stop := call()
		if want := map[bool]transport.StopReason{false: transport.StopAttempts, true: transport.StopBudget}[tt.fails]; stop != want {
			t.Errorf("%s: stopped by %q, want %q", tt.name, stop, want)
		}
		if hop.SaidNo() != tt.passed {
			t.Errorf("%s: passed up %v, want %v", tt.name, hop.SaidNo(), tt.passed)
		}
	}
}
