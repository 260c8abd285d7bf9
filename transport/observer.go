package transport

import (
	"context"
	"time"
)

// An Observer is told what the chain does. Nil fields are skipped. The funcs are called
// outside locks, on the goroutine of the caller or of a second copy. They may be called
// concurrently and must be quick.
type Observer struct {
	// OnAttempt is called exactly once per attempt sent, when its response header or error
	// arrives. A request that breaker or guard refused is not an attempt.
	OnAttempt func(context.Context, AttemptEvent)
	// OnCall is called exactly once per RoundTrip, also if the base panics. The response
	// body has not been read then. The context is that of the request as the call layers
	// passed it on.
	OnCall func(context.Context, Call)
}

// An AttemptEvent describes an attempt up to its response header. ResultOf(ctx,
// e.Status, e.Err), with the context of the event, is its result in one word.
type AttemptEvent struct {
	Service  string
	Method   string        // "" for Do
	Attempt  int           // 1 for the first
	Hedge    bool          // it was sent while another was in flight
	Waited   time.Duration // before this attempt; for the first 0, or the last wait if it was throttled or paused
	Duration time.Duration // from sending to the response header or the error
	Status   int           // 0 with an error
	Err      error

	// The result of the attempt before, which this one replaces. Both are zero for
	// the first, unless the guard or a breaker refused it before.
	AfterStatus int
	AfterErr    error
}

type observers []Observer

func (os observers) any() bool { return len(os) > 0 }

func (os observers) attempt(ctx context.Context, e AttemptEvent) {
	for _, o := range os {
		if o.OnAttempt != nil {
			o.OnAttempt(ctx, e)
		}
	}
}

func (os observers) call(ctx context.Context, c Call) {
	for _, o := range os {
		if o.OnCall != nil {
			o.OnCall(ctx, c)
		}
	}
}
