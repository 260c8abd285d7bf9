package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Guard configures [WithGuard]. The zero value is the guard as it should be:
// the latencies that it sees, and AttemptTimeout where there is one, are its
// only scales.
type Guard struct {
	// Off leaves the guard out again, for a list of options that has it in.
	Off bool
}

// A GuardError is the error of an attempt that the guard held back. Nothing
// was sent.
type GuardError struct {
	Service string
	RetryIn time.Duration // when to ask again; there may still be no room then
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("transport: guard holds back calls to %s, which does not keep up", e.Service)
}

// RefusedFor is RetryIn; see [WithBreaker].
func (e *GuardError) RefusedFor() time.Duration { return e.RetryIn }

func isGuard(err error) bool {
	var g *GuardError
	return errors.As(err, &g)
}

// guardLayer is above the breaker: it holds attempts back while the service
// is proved to be overloaded.
type guardLayer struct {
	next  http.RoundTripper
	born  time.Time
	valve sync.Map // of a service: string to *valve

	mu       sync.Mutex // guards what follows, and additions to valve
	count    int
	overflow *valve
	looked   time.Duration
}

func newGuardLayer(next http.RoundTripper) *guardLayer {
	return &guardLayer{next: next, born: time.Now()}
}

func (l *guardLayer) clock() time.Duration { return time.Since(l.born) }

func (l *guardLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok {
		return l.next.RoundTrip(req)
	}
	v, start := l.of(ctx.run.call.record.Service), l.clock()
	limit := ctx.run.call.policy.AttemptTimeout
	ahead, retryIn := v.enter(start, limit, ctx.number == 1)
	if retryIn > 0 {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &GuardError{Service: v.service, RetryIn: retryIn}
	}
	seen := sightNothing // also if the layers below panic
	defer func() { v.leave(start, l.clock(), limit, ahead, seen) }()
	resp, err := l.next.RoundTrip(req)
	seen = sightOf(req.Context(), resp, err)
	return resp, err
}

// A sight is what an attempt shows of the load of the service.
type sight int8

const (
	sightNothing sight = iota // an error of its own, or the caller gave up
	sightAnswer               // an error status: alive, but no work was done
	sightSuccess
	sightTimeout
)

func sightOf(ctx context.Context, resp *http.Response, err error) sight {
	switch {
	case err != nil && ctx.Err() != context.Canceled && isTimeout(err):
		return sightTimeout
	case err != nil || resp == nil:
		return sightNothing
	case resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return sightSuccess
	}
	return sightAnswer
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// of returns the valve of a service. There are at most as many as there are
// default budgets; services beyond that share one.
func (l *guardLayer) of(service string) *valve {
	if v, ok := l.valve.Load(service); ok {
		return v.(*valve)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok := l.valve.Load(service); ok {
		return v.(*valve)
	}
	if l.count >= defaultServices && !l.makeRoom() {
		if l.overflow == nil {
			l.overflow = newValve("(other services)")
		}
		return l.overflow
	}
	v := newValve(service)
	l.valve.Store(service, v)
	l.count++
	return v
}

// makeRoom drops the valves that are open and not in use, looking at most once
// a second.
func (l *guardLayer) makeRoom() bool {
	now := l.clock()
	if l.looked > 0 && now-l.looked < time.Second {
		return false
	}
	l.looked = max(now, 1)
	dropped := false
	l.valve.Range(func(service, v any) bool {
		if v.(*valve).idle(now) {
			l.valve.Delete(service)
			l.count--
			dropped = true
		}
		return true
	})
	return dropped
}
