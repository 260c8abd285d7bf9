package idempotency

import (
	"context"
	"errors"
	"time"
)

// A renewal renews the lease of a run, each third of the lease. Its goroutine ends with
// the run, whatever the run ends with.
type renewal struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// renew begins. lost is called with ErrLost if the key is lost.
func (x *exchange) renew(lost context.CancelCauseFunc) *renewal {
	// Not the request's context: a client that leaves ends no run.
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.request.Context()))
	r := &renewal{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		every := x.lease / 3
		next := time.NewTicker(every)
		defer next.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-next.C:
			}
			if errors.Is(x.renewWithin(ctx, every), ErrLost) {
				lost(ErrLost)
				return
			}
		}
	}()
	return r
}

func (x *exchange) renewWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return x.store.Renew(ctx, x.claim.Hold)
}

// stop ends the renewal and waits for it, so that none is under way while the answer
// is stored.
func (r *renewal) stop() {
	r.cancel()
	<-r.done
}
