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

// A GuardError is the error of an attempt that the guard throttled. Nothing was sent.
type GuardError struct {
	Service string
	RetryIn time.Duration // when to ask again, which does not ensure room
	Fleet   bool          // other processes saw that the service is over capacity; see [WithFleet]
}

func (e *GuardError) Error() string {
	if e.Fleet {
		return fmt.Sprintf("transport: guard throttled a call to %s, which is over capacity for the whole fleet", e.Service)
	}
	return fmt.Sprintf("transport: guard throttled a call to %s, which is over capacity", e.Service)
}

// RefusedFor returns RetryIn; see [WithBreaker].
func (e *GuardError) RefusedFor() time.Duration { return e.RetryIn }

func isGuard(err error) bool {
	_, ok := errors.AsType[*GuardError](err)
	return ok
}

// A GuardState is the state of the guard of one service; see [Transport.GuardState].
type GuardState struct {
	// Engaged reports that the service is overloaded: attempts beyond Window are
	// throttled.
	Engaged bool
	// Window is the limit of attempts in flight. It is +Inf while the guard is not
	// engaged, and below 1 while only probes are sent.
	Window float64
	// InFlight is the number of attempts in flight. It is 0 without a guard.
	InFlight int
	// Waiting is the number of throttled attempts, which wait for room.
	Waiting int
}

// GuardState returns the state of the guard of a service, which is named as in
// [WithServicePolicy]. It is for metrics and status pages: the state may be out of date
// when it is returned. The guard is not engaged for a service that was never called or
// for which there is no room, and with [WithoutGuard].
func (t *Transport) GuardState(service string) GuardState {
	if t.made() {
		if k := t.services.set.Peek(spelt(service, t.service)); k != nil && k.guard != nil {
			return k.guard.state()
		}
	}
	return GuardState{Window: math.Inf(1)}
}

// guardLayer asks the gate of the service for each attempt. The rule is in package guard.
type guardLayer struct {
	next http.RoundTripper
	born time.Time // what the clock of a gate counts from
}

func (l *guardLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := attemptIn(req.Context())
	if !ok {
		return l.next.RoundTrip(req)
	}
	call := ctx.round.call
	g := call.known.guard
	if g == nil { // there is no room for the service
		return l.next.RoundTrip(req)
	}
	if refused := call.known.refused(ctx); refused != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, refused
	}
	if ctx.number == 1 && g.overlooks() {
		g.inFlight.Add(1)
		defer g.inFlight.Add(-1)
		return l.next.RoundTrip(req)
	}
	attempt, err := g.enter(ctx, req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	signal := guard.None // also if the layers below panic
	var told http.Header
	defer func() {
		ctx.slow = g.leave(attempt, signal, told)
		call.known.tell(attempt, signal, l.born)
	}()
	resp, err := l.next.RoundTrip(req)
	if resp != nil && call.policy.AttemptTimeout > 0 { // else it is not known which wait is long
		told = resp.Header
	}
	signal = signalOf(req.Context(), resp, err, call.policy.MaxRetryAfter)
	return resp, err
}

// engaged reports whether the number of attempts in flight is limited.
func (k *known) engaged() bool { return k.guard != nil && k.guard.free.Load() < 0 }

// signalOf returns what an attempt shows. A refusal that asks for more time than
// longest is not one to wait for.
func signalOf(ctx context.Context, resp *http.Response, err error, longest time.Duration) guard.Signal {
	switch {
	case err != nil:
		// A refused attempt was not sent, so it did not time out.
		if _, refused := refusedBy(err); !refused && ResultOf(ctx, 0, err) == ResultTimeout {
			return guard.Timeout
		}
		return guard.None
	case resp == nil:
		return guard.None
	case resp.StatusCode < 500 && !isThrottle(resp):
		return guard.Success
	case resp.StatusCode != http.StatusServiceUnavailable || !headers.Hinted(resp.Header, time.Now()):
		return guard.Failed
	}
	if hint, _ := headers.RetryAfterOf(resp.Header, time.Now()); hint > longest {
		return guard.Failed
	}
	return guard.Shed
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
