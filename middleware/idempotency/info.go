package idempotency

import "context"

// Info is what a handler is told of its run: see [FromContext].
type Info struct {
	// Key is the idempotency key, as the client sent it.
	Key string
	// Runs counts the runs of this key, this one included. More than 1 says that an
	// earlier run ended without an answer, by a crash or a panic, and may have done some
	// of its work.
	Runs int
	// Applied says that an earlier run committed its effect and lost its answer: the
	// handler is to answer from what it finds, and to change nothing.
	Applied bool
	// Hold is the claim of this run, for a store that joins the handler's transaction.
	Hold Hold
}

type infoKey struct{}

// FromContext returns what is known of the run whose context ctx is. It reports false
// outside a handler, and for a request without a key.
func FromContext(ctx context.Context) (Info, bool) {
	if info, ok := ctx.Value(infoKey{}).(*Info); ok {
		return *info, true
	}
	return Info{}, false
}
