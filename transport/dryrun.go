package transport

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// dryRunLayer stands above hedging, guard and breaker in a dry run. It sends a
// request past them, and has them judge a copy that is never sent: they see, at
// the same time, what they would see of a real run, so that what they would do
// is known whatever kind of layer a breaker is.
type dryRunLayer struct {
	judges http.RoundTripper // hedging, guard and breaker, around an echo
	send   http.RoundTripper // the attempt layer
}

// dryRunLimit is when an attempt of a dry run ends whose caller set no deadline
// and relies on AttemptTimeout, or it would hang for as long as the server does.
const dryRunLimit = 10 * time.Minute

func (l *dryRunLayer) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
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
	reached atomic.Bool // nobody refused to send it
	late    atomic.Bool // AttemptTimeout would have ended it

	answered chan struct{} // closed once resp and err are what became of the request
	resp     *http.Response
	err      error

	done    chan struct{} // closed once the judges have returned
	lent    *lentBody     // nil where the response has no body to follow
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

// report notes in the round what the judges would have done.
func (h *rehearsal) report(ctx *attemptCtx, resp *http.Response) {
	if h.crashed != nil {
		panic(h.crashed)
	}
	r := ctx.round
	ctx.slow = h.slow
	r.wouldTimeOut = h.late.Load()
	if !h.reached.Load() {
		r.wouldRefuse = StopBreakerOpen
		if isGuard(h.refused) {
			r.wouldRefuse = StopGuard
		}
	}
	// A judge that waits for the end of the body sees it through one of its own.
	if h.lent != nil && h.judged != nil && h.judged.Body != nil && h.reached.Load() && !h.late.Load() {
		h.lent.given = true
		resp.Body = h.judged.Body
	}
}

// echo is the base of the judges: it sends nothing, and answers as the request
// was answered that was sent, or as AttemptTimeout would have.
type echo struct{}

func (echo) RoundTrip(req *http.Request) (*http.Response, error) {
	h, ok := req.Context().Value(rehearsalKey{}).(*rehearsal)
	if !ok { // a layer above made a context of its own: this cannot be told
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

// lentBody is the body of a response while judges have it: what they do to it
// before the caller has it is not done.
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

// dry ends a dry run with what came of its only attempt.
func (r *round) dry(resp *http.Response, err error) (*http.Response, error) {
	seen, seenErr := resp, err
	if r.wouldTimeOut {
		seen, seenErr = nil, &timeoutError{after: r.call.policy.AttemptTimeout, missing: missingHeader}
	}
	r.charge.settle(seenErr == nil && seen.StatusCode < 500 && !isShed(seen), r.newest.slow, isShed(seen))
	_, stop := r.judge(1, seen, seenErr)
	if stop == "" {
		stop = r.wouldGoOn()
	}
	if r.wouldTimeOut && err == nil && resp.StatusCode < 400 {
		stop = StopSucceeded // which it did, after all
	}
	return r.finish(resp, err, stop)
}

// wouldGoOn notes that a real run would make another attempt, if it can pay for
// it. What was not sent in the first place is another matter.
func (r *round) wouldGoOn() StopReason {
	if r.wouldRefuse != "" {
		return StopDisabled
	}
	if !r.pay() {
		return StopBudget
	}
	r.wouldRetry, r.charge.paid = true, false
	return StopDisabled
}

// limit is how long an attempt may take. A dry run cuts nothing that would have
// gone on.
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
