package headers

import (
	"context"
	"sync/atomic"
)

// HopKey is the context key of the inbound request. The value is a *[Hop]. Use
// [HopOf] and [WithHop] unless a context type of your own answers for the key.
type HopKey struct{}

// A Hop is an inbound request that is being served. Retries at several hops of a
// chain multiply. So a Hop tells outgoing calls that the client already retries,
// and tells the response when retrying will not help. Package middleware sets it,
// and package transport reads it. All methods work on a nil Hop.
type Hop struct {
	// Attempt is which attempt of its client the request is; 0 if unknown.
	Attempt int

	no atomic.Bool
}

// HopOf returns the hop of a request with this context, or nil.
func HopOf(ctx context.Context) *Hop {
	h, _ := ctx.Value(HopKey{}).(*Hop)
	return h
}

// WithHop returns a context in which [HopOf] is h.
func WithHop(ctx context.Context, h *Hop) context.Context {
	return context.WithValue(ctx, HopKey{}, h)
}

// Retried reports whether the request is a retry. Then its client is the one to
// retry again.
func (h *Hop) Retried() bool { return h != nil && h.Attempt > 1 }

// SayNo notes that a retry of this request will not help: an outgoing call failed,
// and its server said not to retry or its retry budget was empty.
func (h *Hop) SayNo() {
	if h != nil {
		h.no.Store(true)
	}
}

// SaidNo reports whether SayNo was called.
func (h *Hop) SaidNo() bool { return h != nil && h.no.Load() }
