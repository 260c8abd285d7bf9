package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
)

// A Hedge says when a second copy of a request is sent to cut the tail of the
// latency (Dean and Barroso, "The Tail at Scale", CACM 2013). Zero fields take
// the default.
type Hedge struct {
	// Quantile is the share of first attempts that are answered before a
	// second copy is sent, 0.5 up to below 1. The time it stands for is
	// observed, per service. The default is 1 - 3/4·Ratio, so that there is a
	// copy for nearly every answer that takes longer: 0.985.
	Quantile float64
	// Delay sends the second copy after a fixed time instead. The default 0
	// means the observed one.
	Delay time.Duration
	// Ratio bounds the copies per request of a service, 0 up to 1. Each also
	// takes a token of the retry budget. The default is 0.02.
	Ratio float64
}

// hedgeStock is how many copies may be saved up, in the millionths that accounts
// count; a quarter of it is there at the start. Slow answers come in clumps, and
// the tail is made of those that find the stock used up. It is no more than what
// the retry budget lets pass anyway.
const hedgeStock = 20_000_000

const defaultHedgeRatio = 0.02

func (h Hedge) filled() Hedge {
	if h.Ratio == 0 {
		h.Ratio = defaultHedgeRatio
	}
	if h.Quantile == 0 {
		h.Quantile = max(0.5, 1-0.75*h.Ratio)
	}
	return h
}

func (h Hedge) validate() error {
	var errs []error
	if h.Quantile != 0 && !(h.Quantile >= 0.5 && h.Quantile < 1) {
		errs = append(errs, fmt.Errorf("Hedge.Quantile %v: want 0.5 up to below 1, or 0 for the default", h.Quantile))
	}
	if h.Delay < 0 {
		errs = append(errs, fmt.Errorf("Hedge.Delay %v: want a positive duration, or 0 for the observed one", h.Delay))
	}
	if !(h.Ratio == 0 || h.Ratio >= 0.001 && h.Ratio <= 1) {
		errs = append(errs, fmt.Errorf("Hedge.Ratio %v: want 0.001 up to 1, or 0 for the default", h.Ratio))
	}
	return errors.Join(errs...)
}

// errOutrun is the cause of the cancellation of a copy that came second.
var errOutrun = errors.New("transport: another copy of the request was answered first")

// hedgeLayer is above the guard: each copy is an attempt of its own.
type hedgeLayer struct {
	next  http.RoundTripper
	hedge Hedge
	loop  *loop
	guard *guardLayer // nil: none
	known perService[hedged]
}

// hedged is what is known of a service.
type hedged struct {
	tail
	spare *budget.Account // what Ratio allows
}

func newHedgeLayer(next http.RoundTripper, h Hedge, loop *loop, guard *guardLayer) *hedgeLayer {
	l := &hedgeLayer{next: next, hedge: h.filled(), loop: loop, guard: guard}
	l.known.make = func(string) *hedged {
		spare := budget.NewAccount(budget.Policy{Ratio: l.hedge.Ratio}, nil)
		spare.SetCeiling(hedgeStock)
		spare.Bring(hedgeStock / 4)
		return &hedged{spare: spare}
	}
	l.known.idle = func(*hedged) bool { return true } // soon learnt anew
	return l
}

func (l *hedgeLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok || ctx.number != 1 || !ctx.run.hedgeable() {
		return l.next.RoundTrip(req)
	}
	known := l.known.of(ctx.run.call.record.Service)
	known.spare.Deposit()
	delay := l.hedge.Delay
	if delay == 0 {
		delay = known.delay()
	}
	start := time.Now()
	if delay == 0 {
		resp, err := l.next.RoundTrip(req)
		known.learn(time.Since(start), l.hedge.Quantile, err == nil)
		return resp, err
	}
	r := &race{layer: l, run: ctx.run, spare: known.spare, done: make(chan struct{})}
	resp, err := r.primary(req, delay)
	known.learn(time.Since(start), l.hedge.Quantile, err == nil)
	return resp, err
}

// hedgeable reports whether the request may be under way twice.
func (r *run) hedgeable() bool {
	return r.call.policy.MaxAttempts > 1 && !r.loop.dryRun && isSafe(r.req) &&
		(r.req.Body == nil || r.req.Body == http.NoBody || r.req.GetBody != nil)
}

// A race is between the copies of one request. The first runs on the goroutine
// of the caller, the second on that of a timer, which ends before the race.
type race struct {
	layer *hedgeLayer
	run   *run
	spare *budget.Account

	parent  context.Context
	cancel  [2]context.CancelCauseFunc // of the copies
	state   atomic.Int32               // of the second, and so on
	done    chan struct{}
	attempt *attemptCtx
	resp    *http.Response
	err     error
	crashed any
}

const (
	notStarted int32 = iota
	started
	calledOff
)

func (r *race) primary(req *http.Request, delay time.Duration) (resp *http.Response, err error) {
	first, cancel := context.WithCancelCause(req.Context())
	r.parent, r.cancel[0] = req.Context(), cancel
	timer := time.AfterFunc(delay, r.second)
	returned := false
	defer func() {
		if !returned { // the base panicked
			timer.Stop()
			r.join(true)
			r.drop(0, nil)
			r.drop(1, r.resp)
		}
	}()
	resp, err = r.layer.next.RoundTrip(req.WithContext(first))
	returned = true
	timer.Stop()
	good := r.good(resp, err)
	r.join(good)
	switch {
	case r.crashed != nil:
		r.drop(0, resp)
		r.drop(1, r.attempt.resp)
		panic(r.crashed)
	case !good && r.good(r.resp, r.err):
		r.drop(0, resp)
		r.run.credit.outran()
		return r.won(1, r.resp), nil
	}
	r.drop(1, r.resp)
	r.run.credit.refund()     // of a second copy that was not sent after all
	r.run.credit.owed = false // of one that was, it is spent
	if err != nil {
		r.drop(0, nil)
		return nil, err
	}
	return r.won(0, resp), nil
}

// join waits for the second copy, if it was sent, and calls it off where it is
// not needed any more.
func (r *race) join(over bool) {
	if r.state.CompareAndSwap(notStarted, calledOff) {
		return
	}
	if over {
		r.cancel[1](errOutrun)
	}
	<-r.done
}

// second is called by the timer.
func (r *race) second() {
	ctx, cancel := context.WithCancelCause(r.parent)
	r.cancel[1] = cancel
	if !r.state.CompareAndSwap(notStarted, started) {
		cancel(nil)
		return
	}
	defer close(r.done)
	defer func() { r.crashed = recover() }() // to crash on the caller's goroutine
	r.attempt = &attemptCtx{Context: ctx, run: r.run, number: 2, hedge: true}
	req := r.run.req.WithContext(r.attempt)
	// Without a first copy this would be it.
	if r.run.sent.Load() == 0 || !r.allowed(req) {
		return
	}
	if req.Body != nil && req.Body != http.NoBody {
		if req.Body, r.err = req.GetBody(); r.err != nil {
			return
		}
	}
	r.resp, r.err = r.layer.next.RoundTrip(req)
	if r.err == nil && r.resp != nil && r.resp.Request == nil {
		r.resp.Request = req
	}
	if r.good(r.resp, r.err) {
		r.cancel[0](errOutrun)
	}
}

// allowed asks, in the order of what it costs, for the right to send a second
// copy.
func (r *race) allowed(req *http.Request) bool {
	l := r.layer
	if hopStop(r.run.req.Context()) != "" {
		return false
	}
	if l.guard != nil && l.guard.engaged(r.run.call.record.Service) {
		return false
	}
	if l.loop.opener != nil && l.loop.opener.OpenFor(req) > 0 {
		return false
	}
	if !r.spare.Withdraw() {
		return false
	}
	if !r.run.credit.pay(2) {
		r.spare.Refund()
		return false
	}
	return true
}

// good reports whether an answer ends the race: a fast 503 must not beat a slow
// 200.
func (r *race) good(resp *http.Response, err error) bool {
	if err != nil || resp == nil {
		return false
	}
	return answerOf(r.run.req.Context(), r.layer.loop.check, r.run.call.policy, r.run.req, resp, nil, headers.VerdictOf(resp.Header)) != answerRetryable
}

// won returns the response that is the answer. The context of its attempt
// lives until its body ends.
func (r *race) won(i int, resp *http.Response) *http.Response {
	if resp.Body == nil || resp.Body == http.NoBody {
		r.cancel[i](nil)
		return resp
	}
	cancel := r.cancel[i]
	resp.Body = untilClosed(resp.Body, func() { cancel(nil) })
	return resp
}

// drop ends the copy whose answer is not used.
func (r *race) drop(i int, resp *http.Response) {
	if i == 1 && r.state.Load() != started {
		return // it was never sent, and may be finding that out just now
	}
	r.cancel[i](errOutrun)
	if resp != nil {
		closeBody(resp)
	}
}
