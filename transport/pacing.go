package transport

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Pacing says who waits when a server tells an attempt to come back later. Zero fields
// take the default.
type Pacing struct {
	// Off turns it off: each call only obeys what itself was told.
	Off bool
	// Key returns whose quota a request uses. Requests of a service with the same key wait
	// for each other. Only a digest of the key is kept. The default is what the request
	// says of its account: Authorization, Cookie, headers whose names have a word such as
	// key, token or tenant, and the key or token of an API in the query. If the attempt
	// layers or the base change that, there is no telling whose quota it was, and nobody
	// waits.
	Key func(*http.Request) string
	// MaxWaiters is how many calls may wait before their first attempt, for each service,
	// key and quota. Others are refused with stop reason retry_after. The default is 1,000.
	MaxWaiters int
	// Unavailable obeys a 503 as well as a 429, unless it has X-Should-Retry, whose sender
	// answers for each request by itself. The default is false, because a 503 may come
	// from one of many servers.
	Unavailable bool
}

const defaultMaxWaiters = 1000

func (p Pacing) filled() Pacing {
	if p.MaxWaiters == 0 {
		p.MaxWaiters = defaultMaxWaiters
	}
	return p
}

func (p Pacing) validate() error {
	if p.MaxWaiters < 0 {
		return fmt.Errorf("Pacing.MaxWaiters %d: want a positive number, or 0 for the default", p.MaxWaiters)
	}
	return nil
}

// WithPacing sets who waits when the server tells an attempt to come back later: by a 429
// that says when, or a 403 with a hint, as GitHub sends it. By default all calls with the
// same account wait until then, also those that were never sent. The server would refuse
// them too. Without a Key they wait for the kind of request that was refused, by method
// and path, where numbers and long words do not count. The first of any other kind are
// sent carefully, and wait too if one is refused: a server may have several quotas.
//
// After the pause one attempt is sent, then two, four and so on while none is refused. As
// many as the server took the last time are sent like that, and then one again.
//
// A call waits for as long as [Policy].MaxThrottle allows or, if that is not set, for
// MaxRetryAfter and a quarter of it. If the pause is longer, or ends after the deadline,
// the call ends at once with stop reason retry_after, and the last response if it has
// one. A hint above MaxRetryAfter begins no pause. A second copy of a hedged request is
// not sent during a pause. In a dry run nobody waits, and [Call].WouldWait says how long
// it would have been. MaxWaiters below 0 is an error of [New].
func WithPacing(p Pacing) Option {
	return option(func(c *config) { c.pacing = p })
}

// PausedUntil returns when calls to a service are sent again, after the server told one
// to come back later. The service is named as in [WithServicePolicy]. If there are pauses
// for several accounts it is the end of the last. It returns the zero Time if there is
// none. See [WithPacing]. It is not about [Transport.Pause], which stops retries.
func (t *Transport) PausedUntil(service string) time.Time {
	if !t.made() {
		return time.Time{}
	}
	k := t.services.set.Peek(spelt(service, t.service))
	if k == nil || k.pacer == nil {
		return time.Time{}
	}
	left := k.pacer.until() - t.clock()
	if left <= 0 {
		return time.Time{}
	}
	return time.Now().Add(left)
}

// A heldError is the error of an attempt that had to wait for its turn, for too long.
// Nothing was sent.
type heldError struct {
	stop    StopReason
	text    string
	retryIn time.Duration
	err     error // the deadline, if that ended the wait
}

func (e *heldError) Error() string { return "transport: " + e.text }
func (e *heldError) Unwrap() error { return e.err }
func (e *heldError) Timeout() bool { return e.err != nil }

// RefusedFor is described at [WithBreaker].
func (e *heldError) RefusedFor() time.Duration { return e.retryIn }

// paused reports whether there is a pause. It need not concern the call at hand.
func (k *known) paused() bool { return k != nil && k.pacer != nil && k.pacer.active.Load() > 0 }

// pass sends an attempt when its turn has come.
func (r *round) pass(req *http.Request) (*http.Response, error) {
	var with pass
	if k := r.call.known; k.paused() {
		var err error
		if with, err = r.queue(k.pacer, req); err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, err
		}
	}
	resp, err := r.inPlace(req)
	if with.pause != nil || err == nil && resp != nil && resp.StatusCode >= 400 {
		r.heard(resp, err, with)
	}
	return resp, err
}

// queue waits until the server is ready for another attempt.
func (r *round) queue(p *pacer, req *http.Request) (pass, error) {
	with, ok := p.find(r.req)
	if !ok {
		return pass{}, nil
	}
	l := &with.pause.lanes[with.which]
	now := p.clock()
	if r.loop.dryRun {
		r.wouldQueue(l.after(now))
		return pass{}, nil
	}
	limit := -1 // the number of retries is limited by that of calls
	if r.sent.Load() == 0 {
		limit = p.MaxWaiters
	}
	var waited time.Duration
	waited, ok = r.stand(req, &l.line, r.mayPause(), limit)
	r.paused += waited
	with.sent = now + waited
	err := r.leftLine(req)
	switch {
	case err == nil && ok:
		return with, nil
	case r.interrupted:
		return pass{}, err
	}
	in := l.after(with.sent)
	return pass{}, &heldError{stop: StopRetryAfter, text: fmt.Sprintf("%s told an attempt to come back at %s",
		r.call.record.Service, time.Now().Add(in).UTC().Format(time.RFC3339)), retryIn: in, err: err}
}

// stand waits in a line until the deadline, but no longer than it may. It returns how long
// that took, and whether its turn came.
func (r *round) stand(req *http.Request, l *line, longest time.Duration, limit int) (waited time.Duration, ok bool) {
	ctx, now := req.Context(), l.clock()
	until := now + longest
	if deadline, bounded := ctx.Deadline(); bounded {
		until = min(until, now+time.Until(deadline))
	}
	ok = l.enter(ctx, until, limit)
	waited = l.clock() - now
	r.throttled += waited
	r.waited += waited
	r.lastWait += waited
	return waited, ok
}

// leftLine returns why the context is done after a wait, if it is. Who cancels interrupts
// the call. If the deadline has passed, the reason is what the call waited for.
func (r *round) leftLine(req *http.Request) error {
	ctx := req.Context()
	if isPast(ctx) {
		return context.DeadlineExceeded
	}
	r.interrupted = ctx.Err() != nil
	return ctx.Err()
}

// after is how long the next attempt would have to wait.
func (l *line) after(now time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, _ := l.rule.next(now)
	return max(at-now, 0)
}

// wouldQueue records what a dry run does not wait for.
func (r *round) wouldQueue(wait time.Duration) {
	r.would.wait = wait
	deadline, ok := r.req.Context().Deadline()
	if wait > r.mayPause() || ok && wait > time.Until(deadline) {
		r.would.refuse = StopRetryAfter
	}
}

// mayPause is how long the call may still wait for pauses.
func (r *round) mayPause() time.Duration {
	if r.call.policy.MaxThrottle > 0 {
		return r.mayThrottle()
	}
	longest := r.call.policy.MaxRetryAfter
	return min(longest, forever) + min(longest/4, forever) - r.paused
}

// heard learns from a response when the server wants the next attempt.
func (r *round) heard(resp *http.Response, err error, with pass) {
	k := r.call.known
	if k == nil || k.pacer == nil {
		return
	}
	p := k.pacer
	if err == nil && resp != nil {
		wait := p.tells(resp)
		sent := resp.Request
		if wait > 0 && wait <= r.call.policy.MaxRetryAfter &&
			(p.Key != nil || sent == nil || sent.Header == nil || p.account(sent) == p.account(r.req)) {
			p.told(r.req, with, wait)
			return
		}
	}
	if with.pause != nil {
		l := &with.pause.lanes[with.which]
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pass(with.sent)
		l.serve(p.clock())
	}
}
