package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// A GuardError is the error of an attempt that the guard refused. Nothing was
// sent.
type GuardError struct {
	Service string
	RetryIn time.Duration // when to ask again; there may still be no room then

	scale time.Duration // what an attempt may take
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("transport: guard holds back calls to %s, which does not keep up", e.Service)
}

// RefusedFor is RetryIn; see [WithBreaker].
func (e *GuardError) RefusedFor() time.Duration { return e.RetryIn }

func isGuard(err error) bool {
	_, ok := errors.AsType[*GuardError](err)
	return ok
}

// A GuardState is a look at the guard of one service; see [Transport.GuardState].
type GuardState struct {
	// Engaged reports that the service is proved to be overloaded: attempts
	// that find no room in Window are refused.
	Engaged bool
	// Window is how many attempts may be in flight: +Inf while the guard is
	// not engaged, below 1 while only probes are sent.
	Window float64
	// InFlight is how many attempts are in flight. Without a guard nobody
	// counts them, and it is 0.
	InFlight int
}

// GuardState returns the state of the guard of a service, which is named as in
// [WithServicePolicy]. It is meant for metrics and for pages that people look
// at: a state is out of date as soon as it is returned, and asking for it
// changes nothing. For a service that was never called, or for which there was
// no room, and with [WithoutGuard], the guard is not engaged.
func (t *Transport) GuardState(service string) GuardState {
	if t.made() {
		if k := t.services.set.Peek(spelt(service, t.service)); k != nil && k.guard != nil {
			return GuardState(k.guard.State())
		}
	}
	return GuardState{Window: math.Inf(1)}
}

// guardLayer is above the breaker. It refuses attempts that find no room while
// the service is proved to be overloaded. What is room and what is proof is for
// package guard.
type guardLayer struct {
	next  http.RoundTripper
	clock func() time.Duration
}

func (l *guardLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok {
		return l.next.RoundTrip(req)
	}
	call, priority := ctx.round.call, ctx.priority()
	limiter := call.known.guard
	if limiter == nil { // there is no room for the service
		return l.next.RoundTrip(req)
	}
	inFlight, watched := limiter.Start(priority)
	if !watched {
		defer limiter.Drop()
		return l.next.RoundTrip(req)
	}
	attempt := guard.Attempt{
		InFlight: inFlight,
		Start:    l.clock(),
		Limit:    call.policy.AttemptTimeout,
		Priority: priority,
	}
	if refusal, ok := limiter.Enter(attempt); !ok {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &GuardError{Service: call.record.Service, RetryIn: refusal.RetryIn, scale: refusal.Scale}
	}
	signal := guard.None // also if the layers below panic
	defer func() { ctx.slow = limiter.Leave(attempt, l.clock(), signal) }()
	resp, err := l.next.RoundTrip(req)
	signal = signalOf(req.Context(), resp, err)
	return resp, err
}

func (a *attemptCtx) priority() guard.Priority {
	switch {
	case a.number > 1:
		return guard.Retry
	case a.round.throttled > 0:
		return guard.Waited
	}
	return guard.First
}

// engaged reports whether the number of attempts in flight is limited.
func (k *known) engaged() bool { return k.guard != nil && k.guard.Engaged() }

func signalOf(ctx context.Context, resp *http.Response, err error) guard.Signal {
	switch {
	case err != nil:
		// What was refused below was not sent, so that it did not time out.
		if _, refused := refusedBy(err); !refused && ResultOf(ctx, 0, err) == ResultTimeout {
			return guard.Timeout
		}
		return guard.None
	case resp == nil:
		return guard.None
	case resp.StatusCode < 500 && !isThrottle(resp):
		return guard.Success
	case resp.StatusCode == http.StatusServiceUnavailable && headers.Hinted(resp.Header, time.Now()):
		return guard.Shed
	}
	return guard.Failed
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// throttle says how a call goes on whose attempt the guard refused. There may be
// room after any wait, and asking again costs the service nothing. So it may go on
// for as long as the attempts would have taken that it still has; with the waits
// between, where those are the caller's own, which may be far longer.
func (r *round) throttle(f *facts, e *GuardError, try int) {
	r.throttled++
	p, sent := r.call.policy, int(r.sent.Load())
	f.refused, f.openFor = StopGuard, max(min(f.openFor, p.MaxDelay), time.Millisecond)
	f.hint, f.maxHint = f.openFor, f.openFor // MaxRetryAfter is for servers
	f.attempt = try
	between := time.Duration(0)
	if r.loop.backoff != nil {
		between = p.backoffs(sent)
	}
	if left := p.MaxAttempts - max(sent, 1); left > 0 && (r.throttledFor-between)/time.Duration(left) < e.scale {
		f.attempt = sent
	}
}
