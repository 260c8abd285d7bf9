package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// grace is how long after its deadline a call is given up, if the client has
// not done so.
const grace = 50 * time.Millisecond

// atOnce is the shortest wait. A timer of 0 is over before it is waited for, which
// crashes the race detector in a bubble of testing/synctest (golang/go#78156).
const atOnce = time.Nanosecond

var errLate = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)

// run drives the syncer until Close.
func (f *Fleet) run() {
	defer close(f.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.NewTimer(atOnce)
	defer timer.Stop()
	var pending []*call
	for {
		select {
		case <-timer.C:
		case <-f.poke:
		case r := <-f.results:
			f.take(r)
		case ctx := <-f.closing:
			f.failed = f.leave(ctx, pending)
			return
		}
		f.reportTurns()
		now := f.now()
		pending = f.giveUp(pending, now)
		for _, c := range f.sync.begin(now) {
			pending = append(pending, c)
			f.send(ctx, c)
		}
		timer.Reset(max(f.next(pending, now)-f.now(), atOnce))
	}
}

// send makes a call on a goroutine of its own, that ends with the call or, if
// the client does not keep to the deadline, when that returns.
func (f *Fleet) send(ctx context.Context, c *call) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, AnswerIn)
		defer cancel()
		start := time.Now()
		x := c.Exchange // of which the store has its own, since the call may be given up
		answers, err := f.store.Settle(ctx, &x)
		select {
		case f.results <- result{c, answers, err, time.Since(start), x.Resent}:
		case <-f.done:
		}
	}()
}

// take hands a result to the syncer, unless the call was given up.
func (f *Fleet) take(r result) {
	c := r.call
	if c.over {
		f.sync.shards[c.Shard].stuck--
		return
	}
	c.over, c.Resent = true, r.resent
	f.report(c, f.sync.end(c, f.now(), r.answers, r.err), r.took)
}

// giveUp ends the calls that are over or late, and returns the others.
func (f *Fleet) giveUp(pending []*call, now time.Duration) []*call {
	left := pending[:0]
	for _, c := range pending {
		switch {
		case c.over:
		case now >= c.at+AnswerIn+grace:
			c.over = true
			f.sync.shards[c.Shard].stuck++
			f.report(c, f.sync.end(c, now, nil, errLate), now-c.at)
		default:
			left = append(left, c)
		}
	}
	clear(pending[len(left):])
	return left
}

func (f *Fleet) next(pending []*call, now time.Duration) time.Duration {
	next := f.sync.next(now)
	for _, c := range pending {
		next = min(next, c.at+AnswerIn+grace)
	}
	return next
}

// leave waits for the calls under way and hands all credit back.
func (f *Fleet) leave(ctx context.Context, pending []*call) error {
	for open(pending) && ctx.Err() == nil {
		select {
		case r := <-f.results:
			f.take(r)
		case <-ctx.Done():
		}
	}
	var errs []error
	for _, c := range f.sync.handBack(f.now()) {
		start := time.Now()
		answers, err := f.settle(ctx, &c.Exchange)
		o := f.sync.end(c, f.now(), answers, err)
		f.report(c, o, time.Since(start))
		if err == nil && o.lost > 0 {
			err = errForeign
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("lost %.1f tokens of %d budgets: %w", o.lost, len(c.Keys), err))
		}
	}
	f.sync.part()
	f.reportTurns()
	return errors.Join(errs...)
}

func open(pending []*call) bool {
	for _, c := range pending {
		if !c.over {
			return true
		}
	}
	return false
}
