package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// A refusal that says when to come back is a throttle where its status may pass
// with time; the same status without it is an answer.
func TestThrottles(t *testing.T) {
	// Quotas as GitHub has them: the reset is an epoch.
	spent := func(in int) []string {
		return []string{"X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", fmt.Sprint(time.Now().Unix() + int64(in))}
	}
	left := []string{"X-Ratelimit-Remaining", "12", "X-Ratelimit-Reset", "20"}
	after := func(v string) []string { return []string{"Retry-After", v} }
	for _, tt := range []struct {
		status   int
		header   func() []string
		method   string
		policy   transport.Policy
		attempts int
		stop     transport.StopReason
		wait     time.Duration // at least
	}{
		{status: 403, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, header: func() []string { return after("7") }, attempts: 2, stop: transport.StopSucceeded, wait: 7 * time.Second},
		{status: 403, header: func() []string { return after("0") }, attempts: 2, stop: transport.StopSucceeded},
		{status: 403, header: func() []string { return after("30") }, attempts: 2, stop: transport.StopSucceeded, wait: 30 * time.Second},
		{status: 403, header: func() []string { return after("60") }, attempts: 1, stop: transport.StopRetryAfter},
		{status: 403, header: func() []string { return after("60") }, policy: transport.Policy{MaxRetryAfter: time.Minute}, attempts: 2, stop: transport.StopSucceeded, wait: time.Minute},
		{status: 403, header: func() []string { return after("soon") }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, header: func() []string { return []string{"Retry-After-Ms", "1500"} }, attempts: 2, stop: transport.StopSucceeded, wait: 1500 * time.Millisecond},
		{status: 403, header: func() []string { return spent(20) }, attempts: 2, stop: transport.StopSucceeded, wait: 19 * time.Second},
		{status: 403, header: func() []string { return spent(-5) }, attempts: 2, stop: transport.StopSucceeded},
		{status: 403, header: func() []string { return spent(1800) }, attempts: 1, stop: transport.StopRetryAfter},
		{status: 403, header: func() []string { return left }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, header: func() []string { return []string{"X-Ratelimit-Remaining", "0"} }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, header: func() []string { return []string{"Ratelimit", `"default";r=0;t=9`} }, attempts: 2, stop: transport.StopSucceeded, wait: 9 * time.Second},
		{status: 403, header: func() []string { return append(after("1"), "X-Should-Retry", "false") }, attempts: 1, stop: transport.StopServerSaidNo},
		{status: 403, header: func() []string { return after("1") }, method: "POST", attempts: 1, stop: transport.StopMethod},
		{status: 403, header: func() []string { return after("1") }, policy: transport.Policy{Statuses: []int{503}}, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, header: func() []string { return after("1") }, policy: transport.Policy{Statuses: []int{}}, attempts: 1, stop: transport.StopNotRetryable},
		{status: 403, policy: transport.Policy{Statuses: []int{403}}, attempts: 2, stop: transport.StopSucceeded},
		{status: 409, attempts: 1, stop: transport.StopNotRetryable},
		{status: 409, header: func() []string { return after("2") }, method: "PUT", attempts: 2, stop: transport.StopSucceeded, wait: 2 * time.Second},
		{status: 413, header: func() []string { return after("2") }, method: "PUT", attempts: 2, stop: transport.StopSucceeded, wait: 2 * time.Second},
		{status: 423, header: func() []string { return after("2") }, method: "DELETE", attempts: 2, stop: transport.StopSucceeded, wait: 2 * time.Second},
		{status: 409, header: func() []string { return spent(5) }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 400, header: func() []string { return after("2") }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 401, header: func() []string { return after("2") }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 404, header: func() []string { return spent(5) }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 410, header: func() []string { return after("2") }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 422, header: func() []string { return after("2") }, attempts: 1, stop: transport.StopNotRetryable},
		{status: 200, header: func() []string { return spent(5) }, attempts: 1, stop: transport.StopSucceeded},
		{status: 304, header: func() []string { return after("5") }, attempts: 1, stop: transport.StopSucceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			var h http.Header
			if tt.header != nil {
				h = head(tt.header()...)
			}
			s := &script{answers: []reply{{status: tt.status, header: h}, {status: 204}}}
			req := get(t, t.Context())
			if tt.method != "" {
				req.Method = tt.method
			}
			resp, err := build(t, s, unlimited(), transport.WithPolicy(tt.policy)).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			call, _ := transport.CallOf(resp)
			if call.Attempts != tt.attempts || call.Stop != tt.stop || call.Waited < tt.wait {
				t.Errorf("%d %v: %d attempts, stop %s, waited %v; want %d, %s, at least %v", tt.status, h, call.Attempts, call.Stop, call.Waited, tt.attempts, tt.stop, tt.wait)
			}
			if tt.attempts == 1 && resp.StatusCode != tt.status {
				t.Errorf("status %d, want the real one, %d", resp.StatusCode, tt.status)
			}
		})
	}
}

// With a CheckRetry its caller decides about a throttle.
func TestThrottleAndCheckRetry(t *testing.T) {
	for again, want := range map[bool]int{true: 2, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []reply{{status: 403, header: head("Retry-After", "1")}, {status: 200}}}
			rt := build(t, s, unlimited(), transport.WithCheckRetry(func(_ context.Context, resp *http.Response, _ error) (bool, error) {
				return again && resp.StatusCode == 403, nil
			}))
			if send(t, rt); len(s.seen) != want {
				t.Errorf("CheckRetry says %v: %d attempts, want %d", again, len(s.seen), want)
			}
		})
	}
}

// A throttle is no overload: guard and circuit stay as they are, and a first
// attempt that was throttled earns no credit.
func TestThrottleIsNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		circuits, err := breaker.New(breaker.WithTripRatio(0.1, 5), breaker.WithObserver(breaker.Observer{OnStateChange: func(e breaker.StateChange) { log = append(log, fmt.Sprint(e)) }}))
		if err != nil {
			t.Fatal(err)
		}
		l := &account{}
		rt := build(t, &script{answers: []reply{{status: 403, header: head("Retry-After", "60")}}},
			transport.WithBudget(func(string) budget.Budget { return l }), transport.WithBreaker(circuits.Wrap))
		for range 500 {
			send(t, rt)
		}
		if g := rt.GuardState("api.test"); g.Engaged {
			t.Errorf("the guard is engaged: %+v", g)
		}
		if len(log) > 0 {
			t.Errorf("the circuit changed: %s", strings.Join(log, ", "))
		}
		if slices.Contains(l.outcomes, budget.Unaided) {
			t.Errorf("settled %v, want no success", l.outcomes[:3])
		}
	})
}
