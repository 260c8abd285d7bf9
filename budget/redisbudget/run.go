package redisbudget

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// grace is how long after its deadline a call is given up, if the client has
// not done so.
const grace = 50 * time.Millisecond

var errLate = errors.New("redisbudget: no answer in time")

// run drives the syncer until Close.
func (f *Fleet) run() {
	defer close(f.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.NewTimer(0)
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
		timer.Reset(f.next(pending, now) - f.now())
	}
}

// send makes a call on a goroutine of its own, that ends with the call or, if
// the client does not keep to the deadline, when that returns.
func (f *Fleet) send(ctx context.Context, c *call) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, answerIn)
		defer cancel()
		start := time.Now()
		answers, err := f.exec.settle(ctx, c)
		select {
		case f.results <- result{c, answers, err, time.Since(start)}:
		case <-f.done:
		}
	}()
}

// take hands a result to the syncer, unless the call was given up.
func (f *Fleet) take(r result) {
	c := r.call
	if c.over {
		f.sync.shards[c.shard].stuck--
		return
	}
	c.over = true
	f.report(c, f.sync.end(c, f.now(), r.answers, r.err), r.took)
}

// giveUp ends the calls that are over or late, and returns the others.
func (f *Fleet) giveUp(pending []*call, now time.Duration) []*call {
	left := pending[:0]
	for _, c := range pending {
		switch {
		case c.over:
		case now >= c.at+answerIn+grace:
			c.over = true
			f.sync.shards[c.shard].stuck++
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
		next = min(next, c.at+answerIn+grace)
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
		answers, err := f.exec.settle(ctx, c)
		o := f.sync.end(c, f.now(), answers, err)
		f.report(c, o, time.Since(start))
		if err == nil && o.lost > 0 {
			err = errors.New("a key holds something that is not a budget")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("redisbudget: Close: lost %.1f tokens of %d budgets: %w", o.lost, len(c.keys), err))
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
