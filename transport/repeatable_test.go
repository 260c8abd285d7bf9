package transport_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

func post(t *testing.T, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://api.test"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// What the func allows is repeated as a GET is, with the body it has; what it
// does not allow goes by its method. It is asked once a call, and only where
// the answer matters.
func TestWithRepeatable(t *testing.T) {
	search := func(req *http.Request) bool { return strings.HasPrefix(req.URL.Path, "/search") }
	for _, tt := range []struct {
		name, method, path string
		may                func(*http.Request) bool
		header             http.Header
		body               io.Reader
		answers            []reply
		attempts, asked    int
		stop               transport.StopReason
	}{
		{name: "allowed", method: "POST", path: "/search", may: search, answers: statuses(503, 502, 200), attempts: 3, asked: 1, stop: transport.StopSucceeded},
		{name: "allowed, up to the policy", method: "PATCH", path: "/search", may: search, answers: statuses(503), attempts: 3, asked: 1, stop: transport.StopAttempts},
		{name: "after an error", method: "POST", path: "/search", may: search, answers: []reply{{err: io.ErrUnexpectedEOF}, {status: 200}}, attempts: 2, asked: 1, stop: transport.StopSucceeded},
		{name: "with GetBody", method: "POST", path: "/search", may: search, body: strings.NewReader("query"), answers: statuses(503, 200), attempts: 2, asked: 1, stop: transport.StopSucceeded},
		{name: "a body that streams", method: "POST", path: "/search", may: search, body: &source{Reader: strings.NewReader("query")}, answers: statuses(503, 200), attempts: 2, asked: 1, stop: transport.StopSucceeded},
		{name: "a body that is not kept", method: "POST", path: "/search", may: search, body: io.LimitReader(&zeros{left: 1 << 20}, 1<<20), answers: statuses(503, 200), attempts: 1, asked: 1, stop: transport.StopBody},
		{name: "not allowed", method: "POST", path: "/orders", may: search, answers: statuses(503, 200), attempts: 1, asked: 1, stop: transport.StopMethod},
		{name: "an answer that is final", method: "POST", path: "/search", may: search, answers: statuses(404), attempts: 1, stop: transport.StopNotRetryable},
		{name: "a success", method: "POST", path: "/search", may: search, answers: statuses(201), attempts: 1, stop: transport.StopSucceeded},
		{name: "the server says no", method: "POST", path: "/search", may: search, answers: []reply{{status: 503, header: http.Header{"X-Should-Retry": {"false"}}}}, attempts: 1, asked: 1, stop: transport.StopServerSaidNo},
		{name: "a safe method is not asked about", method: "PUT", path: "/orders", may: search, answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "a method of its own", method: "SEARCH", path: "/search", may: search, answers: statuses(503, 200), attempts: 2, asked: 1, stop: transport.StopSucceeded},
		{name: "nor is a key", method: "POST", path: "/orders", may: search, header: http.Header{"Idempotency-Key": {`"k"`}}, answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "a key without a value", method: "POST", path: "/orders", header: http.Header{"Idempotency-Key": nil}, answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "nil", method: "POST", path: "/search", answers: statuses(503, 200), attempts: 1, stop: transport.StopMethod},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			may := tt.may
			if may != nil {
				may = func(req *http.Request) bool { asked++; return tt.may(req) }
			}
			s := &script{answers: tt.answers}
			rt := build(t, s, unlimited(), quick, transport.WithRepeatable(may))
			req := post(t, tt.path, tt.body)
			req.Method = tt.method
			if tt.header != nil {
				req.Header = tt.header
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			call, _ := transport.CallOf(resp)
			if call.Attempts != tt.attempts || call.Stop != tt.stop || len(s.seen) != tt.attempts {
				t.Errorf("%d attempts, stop %s; want %d, %s", call.Attempts, call.Stop, tt.attempts, tt.stop)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			for i, b := range s.bodies {
				if b != s.bodies[0] {
					t.Errorf("attempt %d sent %q, want %q", i+1, b, s.bodies[0])
				}
			}
		})
	}
}

// What may be repeated may be under way twice.
func TestRepeatableIsHedged(t *testing.T) {
	for path, want := range map[string]int{"/search": 2, "/orders": 1} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &replicas{copies: []copyOf{{after: time.Second, status: 200}, {after: time.Millisecond, status: 200}}}
				rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond}),
					transport.WithRepeatable(func(req *http.Request) bool { return req.URL.Path == "/search" }))
				resp, err := rt.RoundTrip(post(t, path, strings.NewReader("query")))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if len(base.seen) != want {
					t.Errorf("%d copies, want %d", len(base.seen), want)
				}
			})
		})
	}
}

// The func sees the request as the call layers passed it on.
func TestRepeatableSeesWhatCallLayersDid(t *testing.T) {
	type marked struct{}
	s := &script{answers: statuses(503, 200)}
	rt := build(t, s, unlimited(), quick,
		transport.WithCallLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(req.WithContext(context.WithValue(req.Context(), marked{}, true)))
		})),
		transport.WithRepeatable(func(req *http.Request) bool { return req.Context().Value(marked{}) != nil }))
	resp, err := rt.RoundTrip(post(t, "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 200 {
		t.Errorf("status %d, want the 200 of a second attempt", resp.StatusCode)
	}
}
