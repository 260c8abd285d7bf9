package transport

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
)

// A race is between the copies of one request. The first runs on the goroutine
// of the caller, the second on that of a timer, which ends before the race.
type race struct {
	layer *hedgeLayer
	run   *run
	spare *budget.Account

	parent  context.Context
	cancel  [2]context.CancelCauseFunc // of the copies
	winner  atomic.Int32               // place of the first to have a good answer; 0: none
	state   atomic.Int32               // of the second, and so on
	done    chan struct{}
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
		if !joined { // the base panicked, or a CheckRetry did
			timer.Stop()
			r.join(true)
			r.drop(0, resp)
			r.drop(1, r.resp)
		}
	}()
	resp, err = r.layer.next.RoundTrip(r.copyOf(req, first, r.run.newest))
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
		r.run.credit.outran()
		return r.won(1, r.resp), nil
	}
	r.drop(1, r.resp)
	r.run.credit.refund()     // of a second copy that was not sent after all
	r.run.credit.owed = false // of one that was, it is spent
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
	r.attempt = &attemptCtx{Context: ctx, run: r.run, number: 2, hedge: true}
	req := r.copyOf(r.run.req, r.attempt, r.attempt)
	// Without a first copy this would be it.
	if r.run.sent.Load() == 0 || !r.allowed(req) {
		return
	}
	if r.run.loop.dryRun {
		r.run.wouldHedge, r.run.credit.paid = true, false
		return
	}
	if hasBody(req) {
		req.Body = r.run.lender.kept.body()
	}
	r.resp, r.err = r.layer.next.RoundTrip(req)
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
	if l := r.run.loop; !attempt.own && (l.layered || l.strange) {
		req.Header, attempt.own = req.Header.Clone(), true
	}
	if hasBody(req) {
		req.GetBody = r.run.lender.kept.getBody
	}
	return req
}

// allowed asks, in the order of what it costs, for the right to send a second
// copy.
func (r *race) allowed(req *http.Request) bool {
	l := r.layer
	if hopStop(r.run.req.Context()) != "" || r.run.isRetry() {
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
