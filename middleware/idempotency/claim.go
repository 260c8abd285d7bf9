package idempotency

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// beginTime is for both tries of Begin, firstTry for the first of them. A database
	// may need most of it for a row that another transaction is about to commit.
	beginTime, firstTry = 5 * time.Second, 3 * time.Second
	releaseTime         = 500 * time.Millisecond
	// finishTime is for all tries of Finish.
	finishTime, finishTries = 2 * time.Second, 3
	finishPause             = 50 * time.Millisecond
)

// begin claims the key. A reply may be lost, so it asks twice: the owner is known by
// its name. If there is no answer, nobody knows whether the key is claimed, and since
// the handler was not called, the claim is withdrawn.
func (x *exchange) begin() (Found, error) {
	ctx, cancel := x.detached(beginTime)
	defer cancel()
	found, err := x.beginWithin(ctx, firstTry)
	if err != nil && ctx.Err() == nil {
		found, err = x.beginWithin(ctx, beginTime)
	}
	if err != nil {
		x.release()
	}
	return found, err
}

func (x *exchange) beginWithin(ctx context.Context, limit time.Duration) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return x.store.Begin(ctx, x.claim)
}

// The pauses between looks at a key that another request has.
const firstPause, longestPause, shortestPause = 20 * time.Millisecond, time.Second, time.Millisecond

// await claims the key, and waits for another request that has it as long as Wait
// says.
func (x *exchange) await() (Found, error) {
	found, err := x.begin()
	if x.wait <= 0 || err != nil || found.State != Busy {
		return found, err
	}
	since := time.Now()
	defer func() { x.event.Waited = time.Since(since) }()
	// A timer that is over when it is looked at crashes the race detector in a bubble of
	// testing/synctest (golang/go#78156).
	ctx, cancel := context.WithTimeout(x.request.Context(), x.wait)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if !x.pause(ctx, max(min(jittered(pause), found.Left), shortestPause)) {
			return found, nil
		}
		if found, err = x.begin(); err != nil || found.State != Busy {
			return found, err
		}
	}
}

// jittered spreads the looks of many duplicates.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// pause returns true when it is time to look again, and false when the wait is over.
func (x *exchange) pause(ctx context.Context, d time.Duration) bool {
	var changed <-chan struct{} // the other request has ended
	if m, ok := x.store.(*Memory); ok {
		if changed = m.changed(x.claim.Key); changed == nil {
			return true
		}
	}
	look := time.NewTimer(d)
	defer look.Stop()
	select {
	case <-changed:
	case <-look.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// release frees the key: nothing has happened. If that fails, the lease ends by
// itself.
func (x *exchange) release() {
	ctx, cancel := x.detached(releaseTime)
	defer cancel()
	if err := x.store.Release(ctx, x.claim.Hold); err != nil && x.event.Err == nil {
		x.event.Err = err
	}
}

// abandon ends the lease of a run: nobody knows what it has done. If that
// fails, the lease ends by itself.
func (x *exchange) abandon() {
	ctx, cancel := x.detached(releaseTime)
	defer cancel()
	h := x.claim.Hold
	h.Lease = 0
	if err := x.store.Renew(ctx, h); err != nil && x.event.Err == nil {
		x.event.Err = err
	}
}

// finish stores the answer, and tries again if the store fails or its reply is lost.
func (x *exchange) finish(a Answer) error {
	ctx, cancel := x.detached(finishTime)
	defer cancel()
	for try := 1; ; try++ {
		err := x.finishWithin(ctx, finishTime/finishTries, a)
		if err == nil || errors.Is(err, ErrLost) || try == finishTries {
			return err
		}
		pause := time.NewTimer(finishPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

func (x *exchange) finishWithin(ctx context.Context, limit time.Duration, a Answer) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return x.store.Finish(ctx, x.claim.Hold, a)
}
