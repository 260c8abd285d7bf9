package transport

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// shared is the state of a chain, and of all that [Transport.Wrap] makes of it.
type shared struct {
	cfg       config // what is put around each base
	service   func(*http.Request) string
	observers observers
	keys      bool // WithIdempotencyKeys
	born      time.Time
	services  *services
	wrapped   atomic.Bool // there may be one chain inside another
}

// clock is monotonic. It costs half of time.Now, which reads two clocks.
func (s *shared) clock() time.Duration { return time.Since(s.born) }

// Wrap returns the chain around another base with the same state: policies, budgets,
// guards, circuits, latencies, observers and layers. A nil base means the same as for
// [New]. Use it where a library asks for a func(http.RoundTripper) http.RoundTripper and
// may call it more than once, such as WrapTransport of a client-go rest.Config. A chain
// for each would have a budget for each.
//
// The middlewares of [WithCallLayer], [WithBreaker] and [WithAttemptLayer] are called for
// each base. A breaker.Set shares its circuits between them. Any other layer shares what
// it keeps outside of the RoundTripper that it returns. CloseIdleConnections closes those
// of its own base.
//
// A chain inside itself counts once. Wrap returns a base as it is if that has the same
// state. If other layers are between the two, the inner chain passes the attempts of the
// outer one to its base.
//
// Wrap of a Transport that New did not make, or for which a middleware returns nil,
// returns a RoundTripper that answers every request with an error. Wrap is safe for
// concurrent use.
func (t *Transport) Wrap(base http.RoundTripper) http.RoundTripper {
	if !t.made() {
		return unusable(errNotMade)
	}
	if base == nil {
		base = t.cfg.defaultBase()
	}
	if inner, ok := base.(*Transport); ok && inner.made() && inner.shared == t.shared {
		return inner
	}
	t.wrapped.Store(true)
	w, err := t.shared.over(base)
	if err != nil {
		return unusable(err)
	}
	return w
}

// over puts the layers around base.
func (s *shared) over(base http.RoundTripper) (*Transport, error) {
	t := &Transport{base: base, shared: s}
	err := t.stack(base, &s.cfg)
	if isNil(base) {
		err = errors.Join(fmt.Errorf("transport: the base is a nil %T", base), err)
	}
	return t, err
}

// nested reports whether a request is an attempt of a chain with the same
// state, which has done all that this one would do.
func (t *Transport) nested(req *http.Request) bool {
	if !t.wrapped.Load() {
		return false
	}
	outer := attemptOf(req)
	return outer != nil && outer.round.loop.transport.shared == t.shared
}

// attemptOf returns the attempt of a chain further out that the request is,
// or nil. Layers make requests of their own with the context of an attempt, such
// as one for a token, so that the context alone does not tell.
func attemptOf(req *http.Request) *attemptCtx {
	outer, ok := attemptIn(req.Context())
	if !ok || outer.round.req == nil { // nil for Do
		return nil
	}
	// A layer between the two may have chosen another host.
	if of := outer.round.req; req.URL == nil || methodOf(req) != methodOf(of) || req.URL.Path != of.URL.Path {
		return nil
	}
	return outer
}

// unusable answers every request with what is wrong with the chain.
func unusable(err error) RoundTripperFunc {
	return func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
}
