package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/headers/service"
)

// Guard configures [WithGuard]. The zero value is the guard as it should be:
// the latencies that it sees, and AttemptTimeout where there is one, are its
// only scales.
type Guard struct {
	// Off leaves the guard out.
	Off bool
}

// A GuardError is the error of an attempt that the guard held back. Nothing
// was sent.
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

// guardLayer is above the breaker: it holds attempts back while the service
// is proved to be overloaded.
type guardLayer struct {
	next   http.RoundTripper
	born   time.Time
	valves *service.Set[valve]
}

func newGuardLayer(next http.RoundTripper) *guardLayer {
	l := &guardLayer{next: next, born: time.Now()}
	l.valves = service.NewSet(defaultServices, newValve, func(v *valve) bool { return v.idle(l.clock()) })
	return l
}

// over returns the guard over another base, with the same valves.
func (l *guardLayer) over(next http.RoundTripper) *guardLayer {
	return &guardLayer{next: next, born: l.born, valves: l.valves}
}

func (l *guardLayer) clock() time.Duration { return time.Since(l.born) }

func (l *guardLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok {
		return l.next.RoundTrip(req)
	}
	v, c := l.valves.Get(ctx.run.call.record.Service), ctx.claim()
	if v == nil { // no room: services that shared a valve would pay for each other
		return l.next.RoundTrip(req)
	}
	ahead := v.inFlight.Add(1)
	if c == claimFirst && ahead <= v.calm.Load() && v.overlooks() {
		defer v.inFlight.Add(-1)
		return l.next.RoundTrip(req)
	}
	start, limit := l.clock(), ctx.run.call.policy.AttemptTimeout
	if held := v.enter(ahead, start, limit, c); held != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, held
	}
	seen := sightNothing // also if the layers below panic
	defer func() { ctx.slow = v.leave(start, l.clock(), limit, ahead, c != claimLater, seen) }()
	resp, err := l.next.RoundTrip(req)
	seen = sightOf(req.Context(), resp, err)
	return resp, err
}

func (a *attemptCtx) claim() claim {
	switch {
	case a.number > 1:
		return claimLater
	case a.run.held > 0:
		return claimAgain
	}
	return claimFirst
}

// engaged reports whether calls to the service are held back.
func (l *guardLayer) engaged(name string) bool {
	v := l.valves.Peek(name)
	return v != nil && v.calm.Load() < 0
}

// A sight is what an attempt shows of the load of the service.
type sight int8

const (
	sightNothing sight = iota // an error of its own, or the caller gave up
	sightAnswer               // an error status: alive, but no work was done
	sightShed                 // a 503 that says when, or whether, to come back
	sightSuccess
	sightTimeout
)

func sightOf(ctx context.Context, resp *http.Response, err error) sight {
	switch {
	case err != nil && ctx.Err() != context.Canceled && isTimeout(err):
		return sightTimeout
	case err != nil || resp == nil:
		return sightNothing
	case resp.StatusCode < 500 && !isThrottle(resp):
		return sightSuccess
	case resp.StatusCode == http.StatusServiceUnavailable && headers.Hinted(resp.Header, time.Now()):
		return sightShed
	}
	return sightAnswer
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
