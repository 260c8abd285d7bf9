package transport

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// dryRunLayer is above hedging, guard and breaker in a dry run. It sends each request past
// them and lets them judge a copy that is not sent. They see the same result at the same
// time. So it knows what they would do, whatever kind of layer the breaker is.
type dryRunLayer struct {
	judges http.RoundTripper // hedging, guard and breaker, around an echo
	send   http.RoundTripper // the attempt layer
}

// dryRunLimit ends an attempt of a dry run whose caller set no deadline and relies on
// AttemptTimeout.
const dryRunLimit = 10 * time.Minute

func (l *dryRunLayer) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ctx, ok := attemptIn(req.Context())
	if !ok {
		return l.send.RoundTrip(req)
	}
	h := &rehearsal{
		attemptCtx: attemptCtx{Context: ctx.Context, round: ctx.round, number: ctx.number},
		answered:   make(chan struct{}),
		done:       make(chan struct{}),
	}
	go h.judge(l.judges, req)
	defer func() {
		h.answer(resp, err)
		<-h.done
		h.report(ctx, resp)
	}()
	err = errPanic // unless send returns
	resp, err = l.send.RoundTrip(req)
	return resp, err
}

// A rehearsal is the copy of a request that the judges see, and its context.
type rehearsal struct {
	attemptCtx
	reached atomic.Bool // no judge refused it
	late    atomic.Bool // AttemptTimeout would have ended it

	answered chan struct{} // closed when resp and err are set
	resp     *http.Response
	err      error

	done    chan struct{} // closed once the judges have returned
	lent    *lentBody     // nil if the response has no body
	judged  *http.Response
	refused error
	crashed any
}

type rehearsalKey struct{}

func (h *rehearsal) Value(key any) any {
	if _, ok := key.(rehearsalKey); ok {
		return h
	}
	return h.attemptCtx.Value(key)
}

// judge runs beside the request, and ends with it.
func (h *rehearsal) judge(judges http.RoundTripper, req *http.Request) {
	defer close(h.done)
	defer func() { h.crashed = recover() }() // to crash on the caller's goroutine
	copied := req.WithContext(h)
	if copied.Body != nil { // the body belongs to the request that is sent
		copied.Body, copied.GetBody = http.NoBody, nil
	}
	copied.Header = req.Header.Clone()
	h.judged, h.refused = judges.RoundTrip(copied)
}

// answer tells the judges what became of the request.
func (h *rehearsal) answer(resp *http.Response, err error) {
	h.err = err
	if err == nil && resp != nil {
		seen := *resp
		seen.Header = resp.Header.Clone()
		seen.Body = http.NoBody
		if _, upgraded := resp.Body.(io.Writer); !upgraded && resp.Body != nil && resp.Body != http.NoBody {
			h.lent = &lentBody{ReadCloser: resp.Body}
			seen.Body = h.lent
		}
		h.resp = &seen
	}
	close(h.answered)
}

// report records what the judges would have done.
func (h *rehearsal) report(ctx *attemptCtx, resp *http.Response) {
	if h.crashed != nil {
		panic(h.crashed)
	}
	r := ctx.round
	ctx.slow = h.slow
	r.would.timeOut = h.late.Load()
	if !h.reached.Load() {
		r.would.refuse = StopBreakerOpen
		if isGuard(h.refused) {
			r.would.refuse = StopGuard
		}
	}
	// A judge that waits for the end of the body sees it through one of its own.
	if h.lent != nil && h.judged != nil && h.judged.Body != nil && h.reached.Load() && !h.late.Load() {
		h.lent.given = true
		resp.Body = h.judged.Body
	}
}

// echo is the base of the judges. It sends nothing. It returns the result of the request
// that was sent, or a timeout if AttemptTimeout would have ended it.
type echo struct{}

func (echo) RoundTrip(req *http.Request) (*http.Response, error) {
	h, ok := req.Context().Value(rehearsalKey{}).(*rehearsal)
	if !ok { // a layer replaced the context, so the result is not known
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	h.reached.Store(true)
	if limit := h.round.call.policy.AttemptTimeout; limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-h.answered:
		case <-timer.C:
			h.late.Store(true)
			return nil, &timeoutError{after: limit, missing: missingHeader}
		}
	}
	<-h.answered
	return h.resp, h.err
}

// lentBody is the response body while the judges have it. It ignores what they do to it.
type lentBody struct {
	io.ReadCloser
	given bool
}

func (b *lentBody) Read(p []byte) (int, error) {
	if !b.given {
		return 0, io.EOF
	}
	return b.ReadCloser.Read(p)
}

func (b *lentBody) Close() error {
	if !b.given {
		return nil
	}
	return b.ReadCloser.Close()
}

// dry ends a dry run with the result of its only attempt.
func (r *round) dry(resp *http.Response, err error) (*http.Response, error) {
	seen, seenErr := resp, err
	if r.would.timeOut {
		seen, seenErr = nil, &timeoutError{after: r.call.policy.AttemptTimeout, missing: missingHeader}
	}
	r.charge.settle(seenErr == nil && seen.StatusCode < 500 && !isShed(seen), r.newest.slow, isShed(seen))
	_, stop := r.judge(1, seen, seenErr)
	if stop == "" {
		stop = r.wouldGoOn()
	}
	if r.would.timeOut && err == nil && resp.StatusCode < 400 {
		stop = StopSucceeded // as the request did
	}
	return r.finish(resp, err, stop)
}

// would is what a call would have met or done without a dry run.
type would struct {
	refuse                StopReason
	wait                  time.Duration
	retry, hedge, timeOut bool
}

// wouldGoOn records that another attempt would be made if the budget pays for it. An
// attempt that would have been refused is not retried.
func (r *round) wouldGoOn() StopReason {
	if r.would.refuse != "" {
		return StopDisabled
	}
	if !r.pay() {
		return StopBudget
	}
	r.would.retry, r.charge.paid = true, false
	return StopDisabled
}

// limit is how long an attempt may take. A dry run does not cut an attempt whose caller
// set a deadline.
func (r *round) limit(ctx context.Context) time.Duration {
	limit := r.call.policy.AttemptTimeout
	if limit <= 0 || !r.loop.dryRun {
		return limit
	}
	if _, ok := ctx.Deadline(); ok {
		return 0
	}
	return max(limit, dryRunLimit)
}
