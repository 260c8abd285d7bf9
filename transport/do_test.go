package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport"
)

var errBusy = errors.New("busy")

// steady waits exactly d between attempts.
func steady(d time.Duration) transport.DoOption {
	return transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return d })
}

// Every way in which Do ends, as the error and the events tell it.
func TestDo(t *testing.T) {
	late := 10 * time.Second
	for _, tt := range []struct {
		name     string
		policy   transport.Policy
		opts     []transport.DoOption
		deadline time.Duration
		op       func(ctx context.Context, attempt int) error
		attempts int
		waited   time.Duration
		stop     transport.StopReason
		own      bool // the error is that of the operation itself
	}{
		{name: "at once", op: func(context.Context, int) error { return nil }, attempts: 1, stop: transport.StopSucceeded},
		{name: "in the end", op: func(_ context.Context, n int) error {
			if n < 3 {
				return errBusy
			}
			return nil
		}, attempts: 3, waited: 2 * time.Second, stop: transport.StopSucceeded},
		{name: "never", op: func(context.Context, int) error { return errBusy }, attempts: 3, waited: 2 * time.Second, stop: transport.StopAttempts},
		{name: "four attempts", policy: transport.Policy{MaxAttempts: 4}, op: func(context.Context, int) error { return errBusy }, attempts: 4, waited: 3 * time.Second, stop: transport.StopAttempts},
		{name: "retries off", policy: transport.Policy{MaxAttempts: 1}, op: func(context.Context, int) error { return errBusy }, attempts: 1, stop: transport.StopDisabled, own: true},
		{name: "permanent", op: func(context.Context, int) error { return fmt.Errorf("op: %w", transport.Permanent(errBusy)) }, attempts: 1, stop: transport.StopNotRetryable, own: true},
		{name: "permanent under a wait", op: func(context.Context, int) error {
			return transport.RetryAfter(transport.Permanent(errBusy), time.Second)
		}, attempts: 1, stop: transport.StopNotRetryable, own: true},
		{name: "a wait at the limit", policy: transport.Policy{MaxRetryAfter: late, BaseDelay: 1}, op: func(_ context.Context, n int) error {
			if n == 1 {
				return transport.RetryAfter(errBusy, late)
			}
			return nil
		}, attempts: 2, waited: late, stop: transport.StopSucceeded},
		{name: "a wait over the limit", policy: transport.Policy{MaxRetryAfter: late}, op: func(context.Context, int) error { return transport.RetryAfter(errBusy, late+1) }, attempts: 1, stop: transport.StopRetryAfter},
		{name: "a wait past the deadline", deadline: 5 * time.Second, op: func(context.Context, int) error { return transport.RetryAfter(errBusy, 6*time.Second) }, attempts: 1, stop: transport.StopDeadline},
		{name: "a backoff past the deadline", deadline: 1500 * time.Millisecond, op: func(context.Context, int) error { return errBusy }, attempts: 2, waited: time.Second, stop: transport.StopDeadline},
		{name: "no budget", opts: []transport.DoOption{transport.WithBudget(func(string) budget.Budget { return &denied{} })}, op: func(context.Context, int) error { return errBusy }, attempts: 1, waited: time.Second, stop: transport.StopBudget},
		{name: "a nil budget", opts: []transport.DoOption{transport.WithBudget(func(string) budget.Budget { return nil })}, op: func(context.Context, int) error { return errBusy }, attempts: 3, waited: 2 * time.Second, stop: transport.StopAttempts},
		{name: "a dry run", opts: []transport.DoOption{transport.WithDryRun()}, op: func(context.Context, int) error { return errBusy }, attempts: 1, stop: transport.StopDisabled, own: true},
		{name: "attempts that time out", policy: transport.Policy{AttemptTimeout: time.Second}, op: func(ctx context.Context, _ int) error { <-ctx.Done(); return errors.Join(errBusy, ctx.Err()) }, attempts: 3, waited: 2 * time.Second, stop: transport.StopAttempts},
		{name: "permanent, and timed out", policy: transport.Policy{AttemptTimeout: time.Second}, op: func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return transport.Permanent(errors.Join(errBusy, ctx.Err()))
		}, attempts: 1, stop: transport.StopNotRetryable},
		{name: "a cancellation of its own", op: func(context.Context, int) error { return errors.Join(errBusy, context.Canceled) }, attempts: 3, waited: 2 * time.Second, stop: transport.StopAttempts},
		{name: "a timeout of its own", op: func(context.Context, int) error { return errors.Join(errBusy, context.DeadlineExceeded) }, attempts: 3, waited: 2 * time.Second, stop: transport.StopAttempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := service.With(t.Context(), "db")
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				var calls []transport.Call
				var attempts []transport.AttemptEvent
				var seen []int
				opts := append([]transport.DoOption{steady(time.Second), transport.WithObserver(transport.Observer{
					OnCall:    func(_ context.Context, c transport.Call) { calls = append(calls, c) },
					OnAttempt: func(_ context.Context, e transport.AttemptEvent) { attempts = append(attempts, e) },
				})}, tt.opts...)
				v, err := transport.Do(ctx, tt.policy, func(ctx context.Context) (string, error) {
					seen = append(seen, transport.Attempt(ctx))
					return "partial", tt.op(ctx, len(seen))
				}, opts...)
				if tt.stop == transport.StopSucceeded {
					if v != "partial" || err != nil {
						t.Errorf("got %q, %v; want the value", v, err)
					}
				} else {
					e := new(transport.Error)
					if errors.As(err, &e) == tt.own || v != "" || !errors.Is(err, errBusy) || !tt.own && (e.Attempts != tt.attempts || e.Stop != tt.stop) {
						t.Errorf("got %q, %v; want no value, busy, %d attempts and %s", v, err, tt.attempts, tt.stop)
					}
				}
				if len(calls) != 1 || calls[0].Attempts != tt.attempts || calls[0].Stop != tt.stop || calls[0].Service != "db" || calls[0].Method != "" {
					t.Errorf("OnCall saw %+v, want once db with %d attempts and %s", calls, tt.attempts, tt.stop)
				}
				if len(calls) == 1 && (calls[0].Waited < tt.waited || calls[0].Waited > tt.waited+late/4) {
					t.Errorf("waited %v, want %v", calls[0].Waited, tt.waited)
				}
				if calls[0].WouldRetry != (tt.name == "a dry run") {
					t.Errorf("WouldRetry = %v", calls[0].WouldRetry)
				}
				if len(seen) != tt.attempts || len(attempts) != tt.attempts || !slices.IsSorted(seen) || seen[0] != 1 {
					t.Errorf("attempts %v and %d events, want 1 to %d", seen, len(attempts), tt.attempts)
				}
			})
		})
	}
}

// Nothing is run for a caller who has gone, who is told why.
func TestDoForACallerWhoHasGone(t *testing.T) {
	cause := errors.New("user left")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(cause)
	late, stop := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer stop()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		opts []transport.DoOption
		stop transport.StopReason
		is   []error
		same bool // the error is the context's, as it is
	}{
		{"cancelled", cancelled, nil, transport.StopCancelled, []error{context.Canceled}, true},
		{"cancelled, in a dry run", cancelled, []transport.DoOption{transport.WithDryRun()}, transport.StopCancelled, []error{context.Canceled}, true},
		{"cancelled for a cause", caused, nil, transport.StopCancelled, []error{context.Canceled, cause}, false},
		{"past the deadline", late, nil, transport.StopDeadline, []error{context.DeadlineExceeded}, true},
		{"without a cause to give", mute{t.Context(), closedChan()}, nil, transport.StopDeadline, []error{context.DeadlineExceeded}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told told
			p := &purse{}
			v, err := transport.Do(tt.ctx, transport.Policy{AttemptTimeout: time.Second}, func(context.Context) (int, error) {
				t.Error("the operation was run")
				return 1, nil
			}, append(tt.opts, told.option(), p.option())...)
			for _, want := range tt.is {
				if v != 0 || !errors.Is(err, want) {
					t.Errorf("got %v, %v; want no value and %v", v, err, want)
				}
			}
			if tt.same != (err == tt.ctx.Err()) {
				t.Errorf("got %#v, the context's own %v", err, tt.same)
			}
			if c := told.calls[0]; len(told.calls) != 1 || len(told.attempts) != 0 || c.Attempts != 0 || c.Stop != tt.stop || c.Err != err || p.deposits != 0 {
				t.Errorf("told of %+v and %d attempts, %d deposits; want one call without any, %s", told.calls, len(told.attempts), p.deposits, tt.stop)
			}
		})
	}
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// An operation may cancel something of its own, and that is an error like any
// other; and Do heeds the hop that it is used in, as a chain does.
func TestDoOnceMore(t *testing.T) {
	failing := errors.New("failing")
	saidNo := new(headers.Hop)
	saidNo.SayNo()
	for _, tt := range []struct {
		name string
		hop  *headers.Hop
		err  error
		runs int
		stop transport.StopReason
	}{
		{"cancelled by itself", nil, context.Canceled, 3, transport.StopAttempts},
		{"cancelled by itself, with a reason", nil, fmt.Errorf("query: %w", context.Canceled), 3, transport.StopAttempts},
		{"timed out by itself", nil, context.DeadlineExceeded, 3, transport.StopAttempts},
		{"for the first attempt of a client", &headers.Hop{Attempt: 1}, failing, 3, transport.StopAttempts},
		{"for a retry of a client", &headers.Hop{Attempt: 2}, failing, 1, transport.StopDisabled},
		{"for a request to which a server said no", saidNo, failing, 1, transport.StopServerSaidNo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				runs := 0
				_, err := transport.Do(headers.WithHop(t.Context(), tt.hop), transport.Policy{}, func(context.Context) (int, error) {
					runs++
					return 0, tt.err
				}, told.option())
				if runs != tt.runs || !errors.Is(err, tt.err) || tt.runs == 1 && err != tt.err || told.calls[0].Stop != tt.stop {
					t.Errorf("ran %d times, %v, %+v; want %d times, stopped by %s", runs, err, told.calls, tt.runs, tt.stop)
				}
			})
		})
	}
}

func TestDoTimeoutIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := transport.Do(t.Context(), transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Second}, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		var timeout interface{ Timeout() bool }
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
}

// The caller may leave at any moment: inside the operation, in the wait, and
// in the wait that comes before a refused budget is asked again.
func TestDoCancelledAtEachPoint(t *testing.T) {
	cause := errors.New("user left")
	for _, at := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 3500 * time.Millisecond} {
		for _, refuse := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(at, func() { cancel(cause) })
				defer timer.Stop()
				purse := &purse{refuse: refuse}
				attempts := 0
				var told told
				_, err := transport.Do(ctx, transport.Policy{MaxAttempts: 10}, func(ctx context.Context) (int, error) {
					attempts++
					select { // each takes a second
					case <-time.After(time.Second):
						return 0, errBusy
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}, steady(time.Second), told.option(), transport.WithBudget(func(string) budget.Budget { return purse }))
				e := told.calls[0]
				want := transport.StopCancelled
				if refuse && at > 2*time.Second {
					want = transport.StopBudget
				}
				if e.Stop != want || e.Attempts != attempts {
					t.Errorf("cancelled at %v, budget refusing %v: %v; want %s after %d attempts", at, refuse, err, want, attempts)
				}
				waiting := at > time.Second && at < 2*time.Second || at > 3*time.Second
				if want == transport.StopCancelled && waiting && (!errors.Is(err, cause) || !errors.Is(err, errBusy) || !errors.Is(err, context.Canceled)) {
					t.Errorf("cancelled at %v: %v lacks the cause or the last error", at, err)
				}
				if paid := purse.withdrawn - purse.refunded; paid != max(attempts-1, 0) { // it may leave before the first
					t.Errorf("cancelled at %v, budget refusing %v: paid for %d attempts, %d were repeated", at, refuse, paid, attempts-1)
				}
			})
		}
	}
}

// purse counts what goes out and what comes back.
type purse struct {
	refuse                               bool
	asked, deposits, withdrawn, refunded int
	refuseFirst                          bool // the first time it is asked for an attempt, not the second
	onWithdraw                           func()
}

func (p *purse) Deposit() { p.deposits++ }
func (p *purse) Refund()  { p.refunded++ }
func (p *purse) Withdraw() bool {
	p.asked++
	if p.onWithdraw != nil {
		p.onWithdraw()
	}
	if p.refuse || p.refuseFirst && p.asked%2 == 1 {
		return false
	}
	p.withdrawn++
	return true
}

func TestDoPanicPassesAndIsTold(t *testing.T) {
	var calls, attempts int
	defer func() {
		if p := recover(); p != "boom" {
			t.Errorf("recovered %v, want the panic of the operation", p)
		}
		if calls != 1 || attempts != 1 {
			t.Errorf("%d calls and %d attempts told, want one each", calls, attempts)
		}
	}()
	transport.Do(t.Context(), transport.Policy{AttemptTimeout: time.Hour}, func(context.Context) (int, error) { panic("boom") },
		transport.WithObserver(transport.Observer{
			OnCall: func(_ context.Context, c transport.Call) {
				calls++
				if c.Err == nil || c.Stop != transport.StopNotRetryable {
					t.Errorf("OnCall saw %+v, want an error", c)
				}
			},
			OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				attempts++
				if e.Err == nil {
					t.Errorf("OnAttempt saw %+v, want an error", e)
				}
			},
		}))
}

func TestDoRefusesAnInvalidPolicy(t *testing.T) {
	_, err := transport.Do(t.Context(), transport.Policy{MaxAttempts: -1, BaseDelay: -1}, func(context.Context) (int, error) {
		t.Error("the operation ran")
		return 0, nil
	})
	if err == nil {
		t.Fatal("Do took a policy that is not valid")
	}
	for _, want := range []string{"transport: Do: ", "Policy.MaxAttempts -1", "Policy.BaseDelay -1ns"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// An option that concerns requests only does not compile as an option of Do.
func TestOptionsOfDo(t *testing.T) {
	for name, opt := range map[string]transport.Option{
		"Patient":             transport.Patient(),
		"WithAttemptLayer":    transport.WithAttemptLayer(),
		"WithBreaker":         transport.WithBreaker(nil),
		"WithCallLayer":       transport.WithCallLayer(),
		"WithCheckRetry":      transport.WithCheckRetry(nil),
		"WithHedging":         transport.WithHedging(transport.Hedge{}),
		"WithIdempotencyKeys": transport.WithIdempotencyKeys(),
		"WithPolicy":          transport.WithPolicy(transport.Policy{}),
		"WithRepeatable":      transport.WithRepeatable(nil),
		"WithServiceName":     transport.WithServiceName(nil),
		"WithServicePolicy":   transport.WithServicePolicy("a", transport.Policy{}),
		"WithoutGuard":        transport.WithoutGuard(),
	} {
		if _, ok := opt.(transport.DoOption); ok {
			t.Errorf("%s is a DoOption, want an option of New only", name)
		}
	}
}

func TestMarkedErrorsOfNilAreNil(t *testing.T) {
	if transport.Permanent(nil) != nil || transport.RetryAfter(nil, time.Second) != nil {
		t.Error("a nil error was marked")
	}
	if got := transport.RetryAfter(errBusy, -time.Second).Error(); got != "busy" {
		t.Errorf("a marked error reads %q, want the error's own text", got)
	}
}

// An attempt layer may say when to come back, in the error of its own.
func TestRetryAfterOfALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: []reply{{err: transport.RetryAfter(errBusy, 8*time.Second)}, {status: 200}}}
		resp, err := build(t, base).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Waited < 8*time.Second || call.Waited > 10*time.Second {
			t.Errorf("waited %v, want the 8s asked for and up to a quarter more", call.Waited)
		}
	})
}
