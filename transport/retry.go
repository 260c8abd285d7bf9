package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport/internal/guard"
	"github.com/hashicorp/go-retryablehttp"
)

// loop is the retry loop. A round has the state of one pass through it.
type loop struct {
	next      http.RoundTripper // guard, breaker, attempt
	opener    opener            // the breaker, if it can be asked
	check     retryablehttp.CheckRetry
	may       func(*http.Request) bool // WithRepeatable
	backoff   retryablehttp.Backoff
	budget    func(service string) budget.Budget // nil: none
	dryRun    bool
	resume    int       // how often the body of a call may be continued
	makers    []uintptr // readerMakers, where the base is net/http's
	layered   bool      // there are attempt layers
	strange   bool      // there are layers or a base below that are not ours
	transport *Transport
}

// RoundTrip is where the call layers end.
func (l *loop) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil {
		return nil, errNoRequest
	}
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok { // a call layer replaced the context
		c = new(call)
		l.transport.newCall(c, req)
	}
	c.passed(req.Context())
	if malformed(req) {
		return l.transport.passMalformed(req)
	}
	return l.do(&round{call: c}, req)
}

// do sends the request until decide finds a reason not to.
func (l *loop) do(r *round, req *http.Request) (*http.Response, error) {
	r.loop, r.req = l, req
	if l.dryRun {
		r.would = new(would)
	}
	r.told = toldBy(req.Header)
	defer r.end()
	body, err := r.begin()
	if err != nil {
		return nil, r.refuse(err)
	}
	for try := 1; ; try++ {
		resp, err := r.send(body)
		if l.dryRun {
			return r.dry(resp, err)
		}
		shed := isShed(resp)
		r.charge.settle(err == nil && resp.StatusCode < 500 && !shed, r.newest.slow, shed)
		wait, stop := r.judge(try, resp, err)
		if stop == "" {
			body, stop = r.prepare(resp, err, wait)
		}
		switch {
		case r.interrupted:
			// The rest of the body has ended with the caller's context.
			if resp != nil {
				closeBody(resp)
			}
			return nil, r.fail(newEndedError(req.Context(), resp, err), stop)
		case stop != "":
			resp, err = r.finish(resp, err, stop)
			return r.resumable(resp), err
		}
	}
}

// A round is one pass of a call through the loop. Call layers may start several.
type round struct {
	call   *call
	loop   *loop
	req    *http.Request // as it came, never changed
	charge charge
	lender *lender // of a body with GetBody
	stream *stream // of a body without
	told   *told   // nil if it says nothing

	lastWait   time.Duration // before the current attempt
	scale      guard.Scale   // what it gives its attempts; zero until the guard asks
	throttled  time.Duration // of waited, without any for a retry
	paused     time.Duration // of waited, since the server had told another attempt to
	turnedAway int32         // attempts that the server refused before its handler, saying when to come back
	sent       atomic.Int32  // attempts that reached the attempt layer, with those before
	before     int32         // attempts of the call before this round continues its body; else 0
	replaced   *failure      // by the current attempt; nil for the first
	waited     time.Duration // in total
	id         atomic.Uint64 // of the call; 0 until it is sent
	attempt    *http.Request // the newest attempt
	newest     *attemptCtx   // its context
	body       io.Closer     // of the current attempt, to close if the base panics

	would *would // nil except in a dry run

	entered     bool // RoundTrip need not close the request body
	interrupted bool // the context ended during a wait
	once        bool // the error is that of the first attempt, not of the chain
	ended       bool // the context was done when the newest attempt ended
	over        bool // finish, fail or refuse has run
	asked       bool // WithRepeatable was asked
	repeatable  bool // its answer

	// The first attempt and, without call layers, the call. They are here so that
	// most rounds need one allocation, of 768 bytes as long as a round has at most 760.
	first    attemptCtx
	firstReq http.Request
	own      call
}

// begin finds the budget and returns the body of the first attempt.
func (r *round) begin() (io.ReadCloser, error) {
	body := r.req.Body
	if body != nil {
		r.body = body
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	switch {
	case !hasBody(r.req) || r.call.policy.MaxAttempts == 1:
		return body, nil
	case r.req.GetBody != nil:
		r.lender, body = newLender(r.req, r.loop.makers)
		return body, nil
	}
	r.stream = newStream(r.req, r.call.policy.MaxReplayBytes)
	return r.stream.body(), nil
}

// end runs on every path, also if the base or a hook panics.
func (r *round) end() {
	r.charge.refund()
	if r.over {
		if r.stream != nil {
			r.stream.end()
		}
		return
	}
	if r.body != nil {
		r.body.Close()
	}
	if r.stream != nil {
		r.stream.abort()
	}
	if r.newest != nil && r.newest.resp != nil {
		closeBody(r.newest.resp)
	}
	r.call.report(r, StopNotRetryable, 0, errPanic)
}

func (r *round) replayable() bool {
	if r.stream != nil {
		return r.stream.replayable()
	}
	return !hasBody(r.req) || r.req.GetBody != nil
}

// send passes an attempt to the layers below. The request is a shallow copy of the
// caller's with another context and body. It shares the Header only if no layer can
// write to it: layers do write, although the contract forbids it, while an earlier
// attempt may still be reading.
func (r *round) send(body io.ReadCloser) (*http.Response, error) {
	ctx, req := &r.first, &r.firstReq
	if ctx.round != nil { // responses of earlier attempts may still hold those
		ctx, req = new(attemptCtx), new(http.Request)
	}
	*ctx = attemptCtx{Context: r.req.Context(), round: r, number: r.sent.Load() + 1}
	*req = *r.req.WithContext(ctx)
	if r.loop.layered || ctx.number > 1 {
		req.Header, ctx.own = req.Header.Clone(), true
	}
	r.newest, r.attempt = ctx, req
	if body != nil {
		req.Body, r.body = body, body
	}
	if b, ok := body.(*lent); ok {
		req.GetBody = b.again
	}
	resp, err := r.pass(req)
	resp, err = oneOf(resp, err, "the base")
	r.body, ctx.resp = nil, resp
	if resp != nil && resp.Request == nil {
		resp.Request = req
	}
	return resp, err
}

// judge collects the facts about a try and decides.
func (r *round) judge(try int, resp *http.Response, err error) (time.Duration, StopReason) {
	l, p, ctx := r.loop, r.call.policy, r.req.Context()
	if err == nil && l.check == nil && resp.StatusCode < 400 {
		return 0, StopSucceeded
	}
	// A breaker's refusals count as attempts, or there might be no end to them.
	waits := max(try, int(r.sent.Load()-r.before)) // as the backoff counts
	f := facts{failed: err != nil, max: p.MaxAttempts, maxHint: p.MaxRetryAfter}
	if err != nil {
		f.unsent, f.hint = isUnsent(err), askedWait(err)
		if refused, ok := refusedBy(err); ok {
			f.class, f.refused, f.openFor = classRetryable, StopBreakerOpen, refused.RefusedFor()
			if held, ok := errors.AsType[*heldError](err); ok {
				f.refused, f.max = held.stop, 0
			}
			if isGuard(err) { // it has waited for as long as it may
				f.refused, f.max = StopGuard, 0
				if r.charge.unproved {
					f.refused = StopBudget
				}
			}
		} else {
			f.class = classify(ctx, l.check, p, r.req, nil, err, headers.NoVerdict)
			r.charge.timedOut, r.charge.free = ResultOf(ctx, 0, err) == ResultTimeout, f.unsent
		}
	} else {
		r.charge.timedOut, r.charge.free = false, false
		f.verdict = headers.VerdictOf(resp.Header)
		f.class = classify(ctx, l.check, p, r.req, resp, nil, f.verdict)
		f.unsent = f.verdict == headers.Retry
		f.hint, _ = headers.RetryAfterOf(resp.Header, time.Now())
		if f.unsent && f.hint > 0 && isShed(resp) && r.waited < r.patience() {
			r.turnedAway++
			r.charge.free = true
		}
	}
	f.attempt = waits - int(r.turnedAway)
	if l.opener != nil && f.refused == "" {
		f.openFor = l.opener.OpenFor(r.attempt)
	}
	f.ended, f.inbound = endedBy(ctx), inboundStop(ctx)
	if f.refused == StopRetryAfter || f.refused == StopInFlight {
		f.ended = "" // the deadline ended a wait, and that is the reason
	}
	if f.inbound == "" && f.refused == "" && (r.repeatedAbove() || l.transport.isPaused(r.call.record.Service)) { // an attempt that was not sent multiplies nothing
		f.inbound = StopDisabled
	}
	r.once, r.ended = try == 1 && f.refused == "" && !isCut(err), f.ended != ""
	f.replayable = r.replayable()
	if l.backoff != nil {
		waits = min(waits, max(p.MaxAttempts-1, 1)) // the func may index a table of MaxAttempts-1 waits
	}
	if f.open() {
		f.safe = r.safe()
		f.wait = p.delay(waits, f.hint, l.backoff, resp)
	}
	if t, ok := ctx.Deadline(); ok {
		f.deadline, f.left = true, time.Until(t)
		if f.hint > 0 && f.hint < f.left && l.backoff == nil { // the jitter leaves time for the attempt
			f.wait = min(f.wait, f.hint+(f.left-f.hint)/2)
		}
	}
	return f.wait, decide(f)
}

// finish ends the round with the result of the last attempt. If that was refused, the
// caller gets the last response from the server, if there is one.
func (r *round) finish(resp *http.Response, err error, stop StopReason) (*http.Response, error) {
	if err != nil {
		if _, refused := refusedBy(err); !refused || r.kept() == nil {
			if refused && r.charge.unproved && r.replaced != nil { // which is between the guard and the budget
				err = r.replaced.err
			}
			return nil, r.fail(err, stop)
		}
		resp = r.kept()
	}
	r.over = true
	r.passUp(resp, stop)
	r.call.report(r, stop, resp.StatusCode, nil)
	if r.lender != nil && isRedirect(resp) && r.lender.out() {
		setAside(resp, r.newest.cancel)
		r.lender.recall(r.req.Context(), r.call.policy.MaxDelay)
	}
	return resp, nil
}

// refuse ends a round before its first attempt.
func (r *round) refuse(err error) error {
	r.over = true
	if r.body != nil {
		r.body.Close()
	}
	r.call.report(r, StopNotRetryable, 0, err)
	return err
}

func (r *round) fail(err error, stop StopReason) error {
	r.over = true
	if r.req != nil { // nil for Do
		r.passUp(nil, stop)
	}
	if err == io.EOF || r.passedOn(stop) {
		r.call.report(r, stop, 0, err)
		return err
	}
	err = explained(err)
	r.call.report(r, stop, 0, err)
	return &Error{Attempts: int(r.sent.Load()), Stop: stop, Err: err, Waited: r.waited}
}

// prepare waits for another attempt and returns its body. A response that no attempt
// replaces stays as it is, and so does the request body, which the base may still be
// sending. GetBody is called last, to give the base the whole wait to finish with the
// body before. If it fails, the caller gets the response that was set aside.
func (r *round) prepare(resp *http.Response, err error, wait time.Duration) (body io.ReadCloser, stop StopReason) {
	stop = r.await(r.req.Context(), wait, func() StopReason {
		if r.stream != nil {
			// The body may have grown beyond what is kept during the wait.
			next, ok := r.stream.next()
			if !ok {
				return StopBody
			}
			body = next
		}
		r.replace(resp, err)
		return ""
	})
	switch {
	case stop != "" && body != nil:
		body.Close()
		return nil, stop
	case stop == "" && r.lender != nil:
		return r.lent()
	}
	return body, stop
}

// lent returns the body of another attempt, after the attempt before has released its
// own. It fails if the base still reads that after the longest backoff.
func (r *round) lent() (io.ReadCloser, StopReason) {
	ctx := r.req.Context()
	if r.lender.recall(ctx, r.call.policy.MaxDelay) {
		if body, ok := r.lender.next(); ok {
			return body, ""
		}
	} else if stop := endedBy(ctx); stop != "" {
		r.interrupted = true
		return nil, stop
	}
	return nil, StopBody
}

// await pays for another attempt and waits. It calls paid when nothing but paid itself
// and the caller's context can prevent the attempt.
func (r *round) await(ctx context.Context, wait time.Duration, paid func() StopReason) StopReason {
	granted := r.pay()
	// A budget that refuses is asked again after the wait: that of a fleet fetches
	// tokens when it refuses. The response stays open until then, because the caller
	// will probably get it. So this wait is short.
	if !granted && wait > r.call.policy.MaxDelay {
		return StopBudget
	}
	if granted {
		if stop := paid(); stop != "" {
			return stop
		}
	}
	r.call.header.Store(0)
	if !sleep(ctx, wait) {
		r.interrupted = true
		return endedBy(ctx)
	}
	r.lastWait = wait
	r.waited += wait
	if !granted {
		if !r.pay() && !(r.fetch(ctx) && r.pay()) {
			if stop := endedBy(ctx); stop != "" {
				r.interrupted = true
				return stop
			}
			return StopBudget
		}
		return paid()
	}
	return ""
}
