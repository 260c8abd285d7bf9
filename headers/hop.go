package headers

import (
	"context"
	"sync/atomic"
)

// HopKey is the key of the context value by which the server side and the
// client side of one process know of each other. The value is a *Hop.
type HopKey struct{}

// A Hop is a request that is being served, as far as it concerns the calls
// that are made for it. Retries at several hops of a chain multiply, so it
// carries down that somebody above retries already, and up that it is no use.
// Package middleware sets it, package transport heeds it. All methods work on
// a nil Hop, which knows nothing.
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

// Retried reports whether the request is not the first attempt of its client,
// which then is the one to retry.
func (h *Hop) Retried() bool { return h != nil && h.Attempt > 1 }

// SayNo notes that a call made for this request failed in a way that no retry
// helps against: the server below said so, or the retries that could be paid for
// were used up.
func (h *Hop) SayNo() {
	if h != nil {
		h.no.Store(true)
	}
}

// SaidNo reports whether SayNo was called.
func (h *Hop) SaidNo() bool { return h != nil && h.no.Load() }
