package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// Where two of guard, breaker, budget, hints and hop meet, and fake time is
// needed to see it. The other crossings are Examples.

// account is a budget that grants all and notes what came of it.
type account struct {
	purse
	outcomes []budget.Outcome
}

func (l *account) Settle(o budget.Outcome) { l.outcomes = append(l.outcomes, o) }

// What was not sent is no attempt: a retry that is throttled between the
// refusal of the server and the success stays one that followed a refusal, and
// earns no interest.
func TestThrottledRetryStillFollowsTheRefusal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  reply
		refuse map[int]time.Duration
		want   budget.Outcome
	}{
		{"shed, then sent", reply{status: 503, header: head("Retry-After", "1")}, nil, budget.Admitted},
		{"shed, then throttled", reply{status: 503, header: head("Retry-After", "1")}, map[int]time.Duration{2: 1}, budget.Admitted},
		{"shed in another dialect", reply{status: 503, header: head("X-Ms-Retry-After-Ms", "20")}, nil, budget.Admitted},
		{"shed by a verdict", reply{status: 503, header: head("X-Should-Retry", "true")}, nil, budget.Admitted},
		{"throttled", reply{status: 429}, nil, budget.Admitted},
		{"throttled by a 403", reply{status: 403, header: head("Retry-After", "1")}, nil, budget.Admitted},
		{"a 503 that says nothing, then sent", reply{status: 503}, nil, budget.Helped},
		{"a 503 that says nothing, then throttled", reply{status: 503}, map[int]time.Duration{2: 1}, budget.Helped},
		{"an error, then sent", reply{err: io.ErrUnexpectedEOF}, nil, budget.Helped},
		{"an error, then throttled", reply{err: io.ErrUnexpectedEOF}, map[int]time.Duration{2: 1}, budget.Helped},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &account{}
			refusing := &refuser{refuse: tt.refuse}
			rt := build(t, &script{answers: []reply{tt.first, {status: 200}}}, steady(time.Second),
				transport.WithBudget(func(string) budget.Budget { return l }), transport.WithBreaker(refusing.wrap))
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil || resp.StatusCode != 200 || !slices.Equal(l.outcomes, []budget.Outcome{tt.want}) {
				t.Errorf("%s: %v, %v, settled %v; want a success settled as %v", tt.name, resp, err, l.outcomes, tt.want)
			}
		})
	}
}

// heldFor is a guard that holds every attempt back.
func heldFor(d time.Duration) transport.Option {
	return transport.WithBreaker(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) {
		return nil, &transport.GuardError{Service: "api.test", RetryIn: d}
	}))
}

// MaxRetryAfter bounds what a server may ask for. When to ask the guard again is
// no wish of a server.
func TestGuardIsNoServerHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []time.Duration{10 * time.Millisecond, time.Second, time.Hour} {
			policy := transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond, MaxRetryAfter: 100 * time.Millisecond})
			_, err := build(t, answering(200), heldFor(d), policy).RoundTrip(get(t, t.Context()))
			var e *transport.Error
			if !errors.As(err, &e) || e.Stop != transport.StopGuard {
				t.Errorf("held for %v: %v, want stopped by guard", d, err)
			}
		}
	})
}

// Retries that are left to the hop above say nothing about a call that was
// never sent: it was the guard or the breaker that stopped it.
func TestThrottledBelowARetryingHop(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  func() transport.Option
		want transport.StopReason
	}{
		{"guard", func() transport.Option { return heldFor(time.Millisecond) }, transport.StopGuard},
		{"breaker", func() transport.Option {
			return transport.WithBreaker((&refuser{refuse: map[int]time.Duration{1: 1}}).wrap)
		}, transport.StopBreakerOpen},
	} {
		for _, saidNo := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				hop := &headers.Hop{Attempt: 2}
				if saidNo {
					hop.SayNo()
				}
				_, err := build(t, answering(200), tt.opt()).RoundTrip(get(t, headers.WithHop(t.Context(), hop)))
				var e *transport.Error
				if !errors.As(err, &e) || e.Stop != tt.want || e.Attempts != 0 {
					t.Errorf("%s, said no %v: %v, want no attempt, stopped by %s", tt.name, saidNo, err, tt.want)
				}
			})
		}
	}
}

// A call that may not be repeated has no second copy either.
func TestNoHedgeBelowARetryingHop(t *testing.T) {
	for attempt, sent := range map[int]int{0: 2, 1: 2, 2: 1} {
		synctest.Test(t, func(t *testing.T) {
			base := &replicas{copies: []copyOf{{after: time.Second, status: 200}, {after: time.Millisecond, status: 200}}}
			rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
			resp, err := rt.RoundTrip(get(t, headers.WithHop(t.Context(), &headers.Hop{Attempt: attempt})))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if len(base.seen) != sent {
				t.Errorf("attempt %d above: %d copies sent, want %d", attempt, len(base.seen), sent)
			}
		})
	}
}

// The books of a storm: whatever the guard throttles, the breaker sees what is
// sent and no more, a first attempt counts for the budget if it was sent, and
// each retry that was sent cost one token.
func TestBooksOfAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(5, exponential(20*time.Millisecond))
		defer f.close()
		time.AfterFunc(2*time.Second, func() { f.stall(5 * time.Second) })
		var mu sync.Mutex // guards what follows
		var asked, sent, firsts, held int
		p := &purse{}
		counts := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			mu.Lock()
			asked++
			mu.Unlock()
			return next.RoundTrip(req)
		})
		clients := guarded(t, transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			sent++
			if transport.Attempt(req.Context()) == 1 {
				firsts++
			}
			mu.Unlock()
			return f.RoundTrip(req)
		}), 2, transport.WithBreaker(counts), transport.WithBudget(func(string) budget.Budget { return &locked{mu: &mu, purse: p} }),
			transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
				mu.Lock()
				defer mu.Unlock()
				if c.Attempts == 0 && c.Stop == transport.StopGuard {
					held++
				}
			}}))
		drive(t, clients, 175, 15)
		if held == 0 || p.refunded == 0 {
			t.Fatalf("%d calls throttled and %d retries paid back: this is no storm", held, p.refunded)
		}
		if asked != sent || p.deposits != firsts || p.withdrawn-p.refunded != sent-firsts {
			t.Errorf("sent %d, of them %d first; the breaker saw %d, the budget %d calls and %d - %d retries",
				sent, firsts, asked, p.deposits, p.withdrawn, p.refunded)
		}
	})
}

// locked is a purse for many.
type locked struct {
	mu    *sync.Mutex
	purse *purse
}

func (l *locked) Deposit()       { l.mu.Lock(); defer l.mu.Unlock(); l.purse.Deposit() }
func (l *locked) Withdraw() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.purse.Withdraw() }
func (l *locked) Refund()        { l.mu.Lock(); defer l.mu.Unlock(); l.purse.Refund() }

// The answer that trips a circuit says how long to wait, and both do: the retry
// of the call that tripped it is the probe.
func TestTheRetryIsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		circuits, err := breaker.New(breaker.WithTripRatio(0.5, 1))
		if err != nil {
			t.Fatal(err)
		}
		base := &script{answers: []reply{{status: 503, header: head("Retry-After", "20")}, {status: 200}}}
		start := time.Now()
		resp, err := build(t, base, transport.WithBreaker(circuits.Wrap)).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		if call, _ := transport.CallOf(resp); call.Attempts != 2 || resp.StatusCode != 200 || took < 20*time.Second || took > 26*time.Second {
			t.Errorf("%+v after %v, want a success at the second attempt after 20 s and some jitter", call, took)
		}
		if state := circuits.State("api.test"); state != breaker.StateClosed {
			t.Errorf("the circuit is %v, want closed by the retry", state)
		}
	})
}

// The guard's probe may meet an open circuit. It was not sent, so the guard
// stays as it is.
func TestOpenCircuitProvesNothingToTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuses := false
		probes := 0
		opens := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if refuses {
				probes++
				return nil, refusedFor(time.Hour)
			}
			return next.RoundTrip(req)
		})
		rt := build(t, transport.RoundTripperFunc(hangs), unlimited(), transport.WithBreaker(opens),
			transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Second}))
		untilGuard(t, rt, func(s transport.GuardState) bool { return s.Engaged && s.Window <= 1 }, func() {
			rt.RoundTrip(get(t, t.Context()))
		})
		refuses = true
		before := rt.GuardState("api.test")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			rt.RoundTrip(get(t, t.Context()))
		}
		if after := rt.GuardState("api.test"); after.Engaged != before.Engaged || after.Window > before.Window || after.InFlight != 0 || probes == 0 {
			t.Errorf("after %d refused probes: %+v, want %+v", probes, after, before)
		}
	})
}

// A call that the guard refuses has waited. It ends at once and costs nothing.
func TestThrottledUpToTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		p := &purse{}
		_, err := build(t, answering(200), heldFor(time.Second), p.option()).RoundTrip(get(t, ctx))
		var e *transport.Error
		var g *transport.GuardError
		if !errors.As(err, &e) || e.Stop != transport.StopGuard || e.Attempts != 0 || !errors.As(err, &g) || ctx.Err() != nil || p.asked+p.deposits > 0 {
			t.Errorf("%v, want the guard's error at once, stopped by guard, at no cost", err)
		}
	})
}
