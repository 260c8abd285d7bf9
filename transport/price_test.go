package transport_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// dear is a budget that grants nothing after a timeout, for more than one call.
type dear struct {
	mu    sync.Mutex
	purse purse
}

func (d *dear) Deposit() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.purse.Deposit()
}

func (d *dear) Withdraw() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.purse.Withdraw()
}

func (d *dear) Refund() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.purse.Refund()
}

func (d *dear) WithdrawAfterTimeout(int) bool { return false }

func (d *dear) option() transport.Option {
	return transport.WithBudget(func(string) budget.Budget { return d })
}

// Nothing is asked of the budget for an attempt after one that never reached the
// service, however many there are.
func TestUnsentAttemptsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, down := &purse{refuse: true}, true
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if down {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return answering(503)(req)
		})
		rt := build(t, base, p.option(), transport.WithPolicy(transport.Policy{MaxAttempts: 5}))
		_, err := rt.RoundTrip(get(t, t.Context()))
		var e *transport.Error
		if !errors.As(err, &e) || e.Attempts != 5 || e.Stop != transport.StopAttempts || p.asked != 0 {
			t.Errorf("%v, and the budget was asked %d times; want 5 attempts and none", err, p.asked)
		}
		down = false
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Attempts != 1 || p.asked == 0 {
			t.Errorf("%d attempts after a 503, and the budget was asked %d times; want 1 and some", call.Attempts, p.asked)
		}
	})
}

// After a timeout a retry that the budget finds too dear waits until another call
// has succeeded, and is then paid for as any other. If none succeeds in time, the
// call ends with its own error and has cost nothing.
func TestRetryAfterATimeoutWaitsForProof(t *testing.T) {
	const limit, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name     string
		opts     []transport.Option
		other    time.Duration // when another call is answered that was sent at 0.9 s; 0: never
		alone    bool          // there is no such call
		refuse   bool          // the budget grants nothing at all
		want     time.Duration // when the call ends; 0: any time
		stop     transport.StopReason
		attempts int
	}{
		{name: "another call succeeds", other: 1800 * ms, want: 1800 * ms, stop: transport.StopSucceeded, attempts: 2},
		{name: "none does", stop: transport.StopBudget, attempts: 1},
		{name: "no other call", alone: true, want: limit, stop: transport.StopBudget, attempts: 1},
		{name: "too late", opts: []transport.Option{transport.WithPolicy(transport.Policy{AttemptTimeout: limit, BaseDelay: 1, MaxDelay: 1, MaxThrottle: 500 * ms})},
			other: 1800 * ms, want: 1500 * ms, stop: transport.StopBudget, attempts: 1},
		{name: "without credit", other: 1800 * ms, refuse: true, want: limit, stop: transport.StopBudget, attempts: 1},
		{name: "without a guard", opts: []transport.Option{transport.WithoutGuard()}, other: 1800 * ms, want: limit, stop: transport.StopBudget, attempts: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if req.Method == "HEAD" && tt.other > 0 {
						time.Sleep(tt.other - 900*ms)
					} else if transport.Attempt(req.Context()) == 1 {
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					return answering(200)(req)
				})
				d := &dear{purse: purse{refuse: tt.refuse}}
				start := time.Now()
				var got transport.Call
				seen := transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
					if c.Method == "GET" { // not the other call
						got = c
					}
				}}
				opts := append([]transport.Option{d.option(), transport.WithObserver(seen),
					transport.WithPolicy(transport.Policy{AttemptTimeout: limit, BaseDelay: 1, MaxDelay: 1})}, tt.opts...)
				rt := build(t, base, opts...)
				if !tt.alone {
					var others sync.WaitGroup
					defer others.Wait()
					others.Go(func() {
						time.Sleep(900 * ms)
						req := get(t, t.Context())
						req.Method = "HEAD"
						rt.RoundTrip(req)
					})
				}
				_, err := rt.RoundTrip(get(t, t.Context()))
				took := time.Since(start)
				if got.Stop != tt.stop || got.Attempts != tt.attempts || tt.want > 0 && (took-tt.want).Abs() > time.Millisecond {
					t.Errorf("%d attempts, stopped by %s after %v (%v); want %d, %s, %v", got.Attempts, got.Stop, took, err, tt.attempts, tt.stop, tt.want)
				}
				if tt.stop == transport.StopBudget && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want the timeout", err)
				}
				d.mu.Lock()
				defer d.mu.Unlock()
				if spent := d.purse.withdrawn - d.purse.refunded; tt.other > 0 && spent != tt.attempts-1 {
					t.Errorf("%d spent on %d attempts", spent, tt.attempts)
				}
			})
		})
	}
}

// An attempt that the server refused before its handler, saying when to come back,
// is not what MaxAttempts counts and costs nothing. That ends after the time that
// the attempts could have taken.
func TestTurnedAwayIsNoAttempt(t *testing.T) {
	again := reply{status: 503, header: http.Header{"X-Should-Retry": {"true"}, "Retry-After-Ms": {"50"}}}
	times := func(n int, r reply, then ...reply) (all []reply) {
		for range n {
			all = append(all, r)
		}
		return append(all, then...)
	}
	for _, tt := range []struct {
		name     string
		answers  []reply
		policy   transport.Policy
		attempts int // 0: any
		asked    int // of the budget
		stop     transport.StopReason
		within   time.Duration
	}{
		{name: "until it is let in", answers: times(6, again, reply{status: 200}), attempts: 7, stop: transport.StopSucceeded, within: 6 * time.Second},
		{name: "and then has all its attempts", answers: times(6, again, reply{status: 500}), attempts: 9, asked: 2, stop: transport.StopAttempts, within: 12 * time.Second},
		{name: "but not for ever", answers: []reply{again}, stop: transport.StopAttempts, within: 10 * time.Second},
		{name: "a refusal that does not say when", answers: []reply{{status: 503, header: head("X-Should-Retry", "true")}}, attempts: 3, asked: 2, stop: transport.StopAttempts, within: time.Second},
		{name: "one that may come from the handler", answers: []reply{{status: 503, header: head("Retry-After-Ms", "50")}}, attempts: 3, asked: 2, stop: transport.StopAttempts, within: time.Second},
		{name: "retries are off", answers: []reply{again}, policy: transport.Policy{MaxAttempts: 1}, attempts: 1, stop: transport.StopDisabled, within: time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.policy.AttemptTimeout, tt.policy.BaseDelay = time.Second, time.Millisecond
				p, start := &purse{}, time.Now()
				resp, err := build(t, &script{answers: tt.answers}, p.option(), transport.WithPolicy(tt.policy)).RoundTrip(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				call, _ := transport.CallOf(resp)
				if call.Stop != tt.stop || tt.attempts > 0 && (call.Attempts != tt.attempts || p.asked != tt.asked) || time.Since(start) > tt.within {
					t.Errorf("%d attempts, stopped by %s after %v, the budget asked %d times; want %d, %s, %d",
						call.Attempts, call.Stop, time.Since(start), p.asked, tt.attempts, tt.stop, tt.asked)
				}
			})
		})
	}
}

// The jitter of a wait that the server asks for never takes the time that it left.
func TestJitterLeavesTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.Header
		opt    transport.Option
		fails  bool // some calls end without a retry
	}{
		{name: "a wait within the deadline", answer: head("Retry-After-Ms", "900")},
		{name: "one beyond it", answer: head("Retry-After-Ms", "1100"), fails: true},
		{name: "a Backoff of the caller's is kept", answer: head("Retry-After-Ms", "900"),
			opt: transport.WithBackoff(func(_, most time.Duration, _ int, _ *http.Response) time.Duration { return most }), fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := []transport.Option{transport.WithBudget(nil)}
				if tt.opt != nil {
					opts = append(opts, tt.opt)
				}
				var failed int
				for range 100 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					rt := build(t, &script{answers: []reply{{status: 503, header: tt.answer}, {status: 200}}}, opts...)
					start := time.Now()
					resp, err := rt.RoundTrip(get(t, ctx))
					if err != nil {
						t.Fatal(err)
					}
					switch took := time.Since(start); {
					case resp.StatusCode != 200:
						failed++
					case took < 900*time.Millisecond || took > 950*time.Millisecond:
						t.Fatalf("sent again after %v, want 900 to 950 ms", took)
					}
					cancel()
				}
				if got := failed > 0; got != tt.fails {
					t.Errorf("%d of 100 calls were not retried, want some: %v", failed, tt.fails)
				}
			})
		})
	}
}

// A call that the server turned away waits for room as if it were new. One that the
// server may have begun comes after those.
func TestTurnedAwayWaitsAsANewCall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first reply
		last  string
	}{
		{"turned away", reply{status: 503, header: http.Header{"X-Should-Retry": {"true"}, "Retry-After-Ms": {"100"}}}, "new"},
		{"failed", reply{status: 503, header: head("Retry-After-Ms", "100")}, "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var order []string
				var mu sync.Mutex
				hangs := true
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					name, hang := req.Header.Get("Name"), hangs
					if name != "" {
						order = append(order, name)
					}
					mu.Unlock()
					switch {
					case name == "old" && transport.Attempt(req.Context()) == 1:
						return (&script{answers: []reply{tt.first}}).RoundTrip(req)
					case name == "" && hang:
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					time.Sleep(300 * time.Millisecond)
					return answering(200)(req)
				})
				rt := build(t, base, transport.WithBudget(nil), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second, MaxThrottle: time.Hour}))
				var calls sync.WaitGroup
				send := func(name string, within time.Duration) {
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), within)
						defer cancel()
						req := get(t, ctx)
						if name != "" {
							req.Header.Set("Name", name)
						}
						if resp, err := rt.RoundTrip(req); err == nil {
							resp.Body.Close()
						}
					})
				}
				for range 30 { // the guard engages, with a window of one
					send("", 1200*time.Millisecond)
					time.Sleep(10 * time.Millisecond)
				}
				calls.Wait()
				mu.Lock()
				hangs = false
				mu.Unlock()
				// There is room for one, and for two once the probe has succeeded. The old one
				// comes back while that is on its way, and has the least time left.
				for _, name := range []string{"old", "probe", "new", "new"} {
					send(name, map[string]time.Duration{"new": 20 * time.Second}[name]+10*time.Second)
					time.Sleep(10 * time.Millisecond)
				}
				calls.Wait()
				if len(order) != 5 || order[4] != tt.last {
					t.Errorf("sent %q, want 5 and %s last", order, tt.last)
				}
			})
		})
	}
}
