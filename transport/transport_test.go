package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// unlimited lets every retry through, for tests that are not about budgets.
func unlimited() transport.Option { return transport.WithBudget(nil) }

// script answers each attempt with the next of its answers, and with the last
// one ever after.
type script struct {
	answers []reply
	seen    []*http.Request
	bodies  []string
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.seen = append(s.seen, req)
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		s.bodies = append(s.bodies, string(b))
	}
	a := s.answers[min(len(s.seen), len(s.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req}, nil
}

func statuses(codes ...int) []reply {
	var as []reply
	for _, c := range codes {
		as = append(as, reply{status: c, body: http.StatusText(c)})
	}
	return as
}

func build(t *testing.T, base http.RoundTripper, opts ...transport.Option) *transport.Transport {
	t.Helper()
	rt, err := transport.New(base, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// untilGuard takes a step at a time until the guard is in a state. A guard that
// never is in it fails the test.
func untilGuard(t *testing.T, rt *transport.Transport, reached func(transport.GuardState) bool, step func()) {
	t.Helper()
	for range 1000 {
		if reached(rt.GuardState("api.test")) {
			return
		}
		step()
	}
	t.Fatalf("after 1,000 steps the guard is %+v", rt.GuardState("api.test"))
}

func get(t *testing.T, ctx context.Context) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	resp.Body.Close()
	return string(b)
}

func TestRetriesUntilSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503, 502, 200)}
		var calls []transport.Call
		var attempts []int
		rt := build(t, base, transport.WithObserver(transport.Observer{
			OnCall: func(_ context.Context, c transport.Call) { calls = append(calls, c) },
			OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				attempts = append(attempts, e.Attempt*1000+e.Status)
			},
		}))
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); resp.StatusCode != 200 || got != "OK" {
			t.Errorf("got %d %q, want 200 OK", resp.StatusCode, got)
		}
		call, ok := transport.CallOf(resp)
		if !ok || call.Attempts != 3 || call.Stop != transport.StopSucceeded || call.Service != "api.test" {
			t.Errorf("CallOf = %+v, %v; want 3 attempts to api.test, succeeded", call, ok)
		}
		if call.Waited == 0 || call.Waited > 300*time.Millisecond {
			t.Errorf("waited %v, want a full jitter of 100ms and 200ms", call.Waited)
		}
		if len(calls) != 1 || calls[0] != call {
			t.Errorf("OnCall saw %+v, want once %+v", calls, call)
		}
		if len(attempts) != 3 || attempts[0] != 1503 || attempts[1] != 2502 || attempts[2] != 3200 {
			t.Errorf("OnAttempt saw %v, want 1503 2502 3200", attempts)
		}
	})
}

func TestLastResponseIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503)}
		resp, err := build(t, base, unlimited()).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); resp.StatusCode != 503 || got != "Service Unavailable" {
			t.Errorf("got %d %q, want the last 503 with its body", resp.StatusCode, got)
		}
		if call, _ := transport.CallOf(resp); call.Attempts != 3 || call.Stop != transport.StopAttempts {
			t.Errorf("CallOf = %+v, want 3 attempts, stopped by attempts", call)
		}
	})
}

// denied is a budget that refuses and counts.
type denied struct{ asked, deposits int }

func (d *denied) Deposit()       { d.deposits++ }
func (d *denied) Withdraw() bool { d.asked++; return false }

func TestBudgetIsAskedTwiceAndTheResponseSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503)}
		b := &denied{}
		rt := build(t, base, transport.WithBudget(func(string) budget.Budget { return b }))
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); got != "Service Unavailable" {
			t.Errorf("body = %q, want it unread", got)
		}
		if call, _ := transport.CallOf(resp); call.Attempts != 1 || call.Stop != transport.StopBudget {
			t.Errorf("CallOf = %+v, want 1 attempt, stopped by budget", call)
		}
		if b.asked != 2 || b.deposits != 1 {
			t.Errorf("budget asked %d times with %d deposits, want 2 and 1", b.asked, b.deposits)
		}
	})
}

func TestRealServer(t *testing.T) {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n%3 != 0 {
			w.WriteHeader(503)
			return
		}
		io.WriteString(w, r.Header.Get("Retry-Attempt"))
	}))
	defer srv.Close()
	client := &http.Client{Transport: build(t, nil, transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}))}
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, resp); !strings.HasPrefix(got, "3;max=3;id=") {
		t.Errorf("Retry-Attempt = %q, want 3;max=3;id=...", got)
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("boom")
		_, err := build(t, &script{answers: []reply{{err: cause}}}, unlimited()).RoundTrip(get(t, t.Context()))
		var e *transport.Error
		if !errors.As(err, &e) || e.Attempts != 3 || e.Stop != transport.StopAttempts || !errors.Is(err, cause) {
			t.Fatalf("err = %#v, want *Error with 3 attempts around boom", err)
		}
	})
}

// after is time.After for a bubble of testing/synctest: there, a timer that is over
// before it is waited for crashes the race detector (golang/go#78156).
func after(d time.Duration) <-chan time.Time {
	if d > 0 {
		return time.After(d)
	}
	over := make(chan time.Time)
	close(over)
	return over
}

// refusing is a service that answers with a 503 and this header.
func refusing(name, value string) transport.RoundTripperFunc {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := answering(503)(req)
		if name != "" {
			resp.Header.Set(name, value)
		}
		return resp, err
	}
}

// hangs is a service that answers nothing in time.
func hangs(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// hasty gives an attempt a millisecond, and waits for nothing.
var hasty = transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: time.Millisecond}

// overload makes calls to a service that hangs until its guard is engaged.
func overload(t *testing.T, rt *transport.Transport) {
	t.Helper()
	for range 1000 {
		if rt.GuardState("api.test").Engaged {
			return
		}
		rt.RoundTrip(get(t, t.Context()))
	}
	t.Fatal("the guard is not engaged after 1000 calls to a service that hangs")
}
