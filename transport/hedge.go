package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport/internal/quantile"
)

// A Hedge says when a second copy of a request is sent, to shorten the longest
// latencies (Dean and Barroso, "The Tail at Scale", CACM 2013). Zero fields take the
// default.
type Hedge struct {
	// Quantile is the share of first attempts that get a response before a second copy
	// is sent, 0.5 up to below 1. The time that it stands for is observed per service.
	// The default is 1 - 3/4·Ratio, so that nearly every slower response has a copy:
	// 0.985.
	Quantile float64
	// Delay sends the second copy after a fixed time. The default 0 means the observed
	// time.
	Delay time.Duration
	// Ratio limits the copies per request of a service, 0.001 up to 1. Each copy also
	// takes a token of the retry budget. The default is 0.02.
	Ratio float64
}

const (
	defaultHedgeRatio = 0.02

	// hedgeStock is how many copies may be saved up. A quarter of it is there at the
	// start. Slow responses come in groups, and the slowest are those without a copy.
	// The retry budget allows no more than this anyway.
	hedgeStock = 20
)

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

// hedgeLayer is above the guard: each copy is an attempt of its own.
type hedgeLayer struct {
	next  http.RoundTripper
	delay time.Duration // 0: the observed one
	loop  *loop
}

// hedged is what is known of a service.
type hedged struct {
	latency *quantile.Estimator // of first attempts that got a response
	copies  copies
	used    atomic.Bool // since the set last looked
}

func newHedged(h Hedge) *hedged {
	k := &hedged{latency: quantile.New(h.Quantile)}
	k.copies.perRequest = int64(math.Round(h.Ratio * oneCopy))
	k.copies.left.Store(hedgeStock / 4 * oneCopy)
	return k
}

// idle reports whether the service was not called since idle was last called. What is
// lost with it is soon learnt again.
func (h *hedged) idle() bool { return !h.used.Swap(false) }

// copies counts what Ratio allows.
type copies struct {
	left       atomic.Int64 // in millionths of a copy
	perRequest int64
}

const oneCopy = 1_000_000

func (c *copies) earn() {
	if c.left.Load() < hedgeStock*oneCopy {
		c.left.Add(c.perRequest)
	}
}

func (c *copies) take() bool {
	for {
		left := c.left.Load()
		if left < oneCopy {
			return false
		}
		if c.left.CompareAndSwap(left, left-oneCopy) {
			return true
		}
	}
}

func (c *copies) giveBack() { c.left.Add(oneCopy) }

func (l *hedgeLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := attemptIn(req.Context())
	if !ok || ctx.number != 1 || !ctx.round.hedgeable() {
		return l.next.RoundTrip(req)
	}
	known := ctx.round.call.known.hedged
	if known == nil { // there is no room for the service
		return l.next.RoundTrip(req)
	}
	if !known.used.Load() {
		known.used.Store(true)
	}
	known.copies.earn()
	delay := l.delay
	if delay == 0 {
		delay = known.latency.Value()
	}
	start := time.Now()
	var resp *http.Response
	var err error
	if delay == 0 {
		resp, err = l.next.RoundTrip(req)
	} else {
		r := &race{layer: l, round: ctx.round, copies: &known.copies, done: make(chan struct{})}
		resp, err = r.primary(req, delay)
	}
	if err == nil {
		known.latency.Add(time.Since(start))
	}
	return resp, err
}

// hedgeable reports whether two copies of the request may be in flight. Two results of
// GetBody may share a reader, which cannot be detected. Our own readers over the same bytes
// do not.
func (r *round) hedgeable() bool {
	return r.call.policy.MaxAttempts > 1 &&
		(!hasBody(r.req) || r.lender != nil && r.lender.kept.known()) && r.safe()
}

// A race is between the copies of one request. The first runs on the goroutine
// of the caller, the second on that of a timer, which ends before the race.
type race struct {
	layer  *hedgeLayer
	round  *round
	copies *copies

	parent  context.Context
	cancel  [2]context.CancelCauseFunc // of the copies
	winner  atomic.Int32               // place of the first to have a good answer; 0: none
	state   atomic.Int32               // of the second, and so on
	done    chan struct{}
	placed  bool // the second takes a place of its bulkhead
	attempt *attemptCtx
	resp    *http.Response
	err     error
	crashed any
}

// errOutrun is the cause of the cancellation of a copy that came second.
var errOutrun = errors.New("transport: another copy of the request was answered first")

const (
	notStarted int32 = iota
	started
	calledOff
)

func (r *race) primary(req *http.Request, delay time.Duration) (resp *http.Response, err error) {
	first, cancel := context.WithCancelCause(req.Context())
	r.parent, r.cancel[0] = req.Context(), cancel
	timer := time.AfterFunc(delay, r.second)
	joined := false
	defer func() {
		if r.placed {
			r.round.call.known.bulkhead.leave()
		}
	}()
	defer func() {
		if !joined { // the base panicked, or a CheckRetry did
			timer.Stop()
			r.join(true)
			r.drop(0, resp)
			r.drop(1, r.resp)
		}
	}()
	resp, err = r.layer.next.RoundTrip(r.copyOf(req, first, r.round.newest))
	timer.Stop()
	r.join(r.good(resp, err) && r.wins(0))
	joined = true
	switch {
	case r.crashed != nil:
		r.drop(0, resp)
		r.drop(1, r.attempt.resp)
		panic(r.crashed)
	case r.winner.Load() == place(1):
		r.drop(0, resp)
		r.round.charge.outran()
		return r.won(1, r.resp), nil
	}
	r.drop(1, r.resp)
	r.round.charge.refund()     // of a second copy that was not sent after all
	r.round.charge.owed = false // of one that was, it is spent
	if err != nil {
		r.drop(0, resp)
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
	r.attempt = &attemptCtx{Context: ctx, round: r.round, number: 2, hedge: true}
	req := r.copyOf(r.round.req, r.attempt, r.attempt)
	// Without a first copy this would be it.
	if r.round.sent.Load() == 0 || !r.allowed(req) {
		return
	}
	if r.round.loop.dryRun {
		r.round.would.hedge, r.round.charge.paid = true, false
		return
	}
	if hasBody(req) {
		req.Body = r.round.lender.kept.body()
	}
	r.resp, r.err = r.layer.next.RoundTrip(req)
	r.round.heard(r.resp, r.err, pass{})
	if r.err == nil && r.resp != nil && r.resp.Request == nil {
		r.resp.Request = req
	}
	if r.good(r.resp, r.err) && r.wins(1) {
		r.cancel[0](errOutrun)
	}
}

// copyOf returns req for one of two copies, of which neither may write or read
// anything of the other's.
func (r *race) copyOf(req *http.Request, ctx context.Context, attempt *attemptCtx) *http.Request {
	req = req.WithContext(ctx)
	if l := r.round.loop; !attempt.own && (l.layered || l.strange) {
		req.Header, attempt.own = req.Header.Clone(), true
	}
	if hasBody(req) {
		req.GetBody = r.round.lender.kept.getBody
	}
	return req
}

// allowed asks, in the order of what it costs, for the right to send a second
// copy.
func (r *race) allowed(req *http.Request) bool {
	l := r.layer
	if inboundStop(r.round.req.Context()) != "" || r.round.isRetry() || l.loop.transport.isPaused(r.round.call.record.Service) {
		return false
	}
	if k := r.round.call.known; k.engaged() || k.paused() {
		return false
	}
	if l.loop.opener != nil && l.loop.opener.OpenFor(req) > 0 {
		return false
	}
	if b := r.round.call.known.bulkhead; b != nil {
		if !b.try() {
			return false
		}
		r.placed = true // until the race is over, since one of the two copies then is
	}
	if !r.copies.take() {
		return false
	}
	if !r.round.charge.pay(2, false) {
		r.copies.giveBack()
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
	return classify(r.round.req.Context(), r.layer.loop.check, r.round.call.policy, r.round.req, resp, nil, headers.VerdictOf(resp.Header)) != classRetryable
}

func place(i int) int32 { return int32(i) + 1 }

// wins reports whether copy i, which has a good answer, is the first to have
// one. Both may have theirs at the same time, and only the loser may be
// cancelled: the context of the winner is that of its body.
func (r *race) wins(i int) bool { return r.winner.CompareAndSwap(0, place(i)) }

// won returns the response that is the answer. The context of its attempt
// lives until its body ends.
func (r *race) won(i int, resp *http.Response) *http.Response {
	if resp.Body == nil || resp.Body == http.NoBody {
		r.cancel[i](nil)
		return resp
	}
	resp.Body = new(boundedBody).around(resp.Body, r.cancel[i])
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
