package transport_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// Where two of guard, breaker, budget, hints and hop meet, and fake time is
// needed to see it. The other crossings are Examples.

// ledger is a budget that grants all and notes what came of it.
type ledger struct {
	purse
	outcomes []budget.Outcome
}

func (l *ledger) Settle(o budget.Outcome) { l.outcomes = append(l.outcomes, o) }

// What was not sent is no attempt: a retry that is held back between the
// refusal of the server and the success stays one that followed a refusal, and
// earns no interest.
func TestHeldBackRetryStillFollowsTheRefusal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  answer
		refuse map[int]time.Duration
		want   budget.Outcome
	}{
		{"shed, then sent", answer{status: 503}, nil, budget.Admitted},
		{"shed, then held back", answer{status: 503}, map[int]time.Duration{2: 1}, budget.Admitted},
		{"an error, then sent", answer{err: io.ErrUnexpectedEOF}, nil, budget.Helped},
		{"an error, then held back", answer{err: io.ErrUnexpectedEOF}, map[int]time.Duration{2: 1}, budget.Helped},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &ledger{}
			refusing := &refuser{refuse: tt.refuse}
			rt := build(t, &script{answers: []answer{tt.first, {status: 200}}}, steady(time.Second),
				transport.WithBudget(func(string) budget.Budget { return l }), transport.WithBreaker(refusing.wrap))
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil || resp.StatusCode != 200 || !slices.Equal(l.outcomes, []budget.Outcome{tt.want}) {
				t.Errorf("%s: %v, %v, settled %v; want a success settled as %v", tt.name, resp, err, l.outcomes, tt.want)
			}
		})
	}
}

// held is a guard that holds every attempt back.
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
func TestHeldBackBelowARetryingHop(t *testing.T) {
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

// A dry run sends every request once. One that was held back was not sent, so
// that asking again is no retry.
func TestDryRunAsksAgainForWhatWasHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusing := &refuser{refuse: map[int]time.Duration{1: time.Second}}
		rt := build(t, &script{answers: statuses(503, 200)}, steady(time.Second), transport.WithDryRun(), transport.WithBreaker(refusing.wrap))
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Attempts != 1 || call.Stop != transport.StopDisabled || !call.WouldRetry || resp.StatusCode != 503 {
			t.Errorf("%+v, want the one attempt sent and its answer returned", call)
		}
	})
}
