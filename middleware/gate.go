package middleware

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// gate admits requests to the handler. One that finds room pays for two atomic
// operations; the lock is for those that do not, and for what is learnt from
// those that leave.
type gate struct {
	epoch    time.Time
	queued   bool // requests may wait
	ranked   bool // they have ranks
	maxWait  time.Duration
	calendar calendar

	limit    atomic.Int64
	inFlight atomic.Int64
	waiting  atomic.Int64
	probing  atomic.Bool

	mu       sync.Mutex // guards what follows
	adaptive adaptive
	queue    queue
}

func newGate(c *config, epoch time.Time) *gate {
	g := &gate{epoch: epoch, queued: c.shedding != nil, ranked: c.priority != nil}
	s := c.shedding.filled()
	g.maxWait = s.MaxWait
	g.calendar.longest = s.MaxRetryAfter
	g.adaptive = newAdaptive(float64(s.MinConcurrency), float64(s.MaxConcurrency))
	if c.limit != nil {
		g.adaptive.fixed, g.adaptive.limit = true, float64(*c.limit)
	}
	if s.SchedulerLatency > 0 && !g.adaptive.fixed {
		g.adaptive.guard = newSchedGuard(s.SchedulerLatency)
	}
	g.publish()
	return g
}

// now is the time since the epoch, which costs half of what time.Now does.
func (g *gate) now() time.Duration { return time.Since(g.epoch) }

// enter takes a slot if there is one, and returns how many were taken before.
func (g *gate) enter() (before, limit int, ok bool) {
	limit = int(g.limit.Load())
	if g.waiting.Load() > 0 {
		return int(g.inFlight.Load()), limit, false
	}
	before, ok = g.take(limit)
	return before, limit, ok
}

func (g *gate) take(limit int) (before int, ok bool) {
	for {
		n := g.inFlight.Load()
		if n >= int64(limit) {
			return int(n), false
		}
		if g.inFlight.CompareAndSwap(n, n+1) {
			return int(n), true
		}
	}
}

// join returns the waiter of a request that found no room, or why it is
// refused at once.
func (g *gate) join(now time.Duration, w *waiter, retry bool) (ShedReason, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.queue
	g.refused(q.prune(now), now)
	// Whoever leaves the handler from here on sees that somebody waits.
	g.waiting.Store(int64(q.length) + 1)
	defer func() { g.waiting.Store(int64(q.length)) }()
	if q.length == 0 {
		if _, ok := g.take(int(g.limit.Load())); ok {
			w.done <- outcome{at: now}
			w.probe = g.adaptive.admitted()
			return ShedNone, 0
		}
	}
	patience := q.patience()
	if w.expires > 0 {
		w.expires = max(1, w.expires-time.Duration(g.adaptive.base))
		patience = min(patience, w.expires-now)
	}
	switch {
	case patience <= 0:
		g.refused(1, now)
		return ShedExpired, 0
	case retry && q.standing:
		g.refused(1, now)
		return ShedRetry, 0
	case q.length >= g.room():
		g.refused(1, now)
		loser, reason := q.loser(w.rank, g.ranked)
		if loser == nil {
			return ShedQueue, 0
		}
		q.resolve(loser, now, reason)
	}
	q.push(w)
	return ShedNone, patience
}

// room is how long the queue may get: what is served in twice the time that
// any may wait. It bounds memory, not latency.
func (g *gate) room() int {
	served := 2 * g.adaptive.throughput() * g.queue.interval.Seconds()
	if served == 0 {
		return mostQueue
	}
	return int(min(max(served, leastQueue), mostQueue))
}

// wait waits for a slot, and returns why there is none and when that was
// settled.
func (g *gate) wait(ctx context.Context, w *waiter, patience time.Duration) outcome {
	select {
	case o := <-w.done:
		return o
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	reason := ShedNone
	select {
	case o := <-w.done:
		return o
	case <-timer.C:
	case <-ctx.Done():
		reason = ShedGone
		if ctx.Err() == context.DeadlineExceeded {
			reason = ShedExpired
		}
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !w.queued { // it was settled in the meantime
		return <-w.done
	}
	g.queue.remove(w)
	g.waiting.Store(int64(g.queue.length))
	if reason == ShedNone {
		reason = w.reason(now)
		g.refused(1, now)
	}
	return outcome{reason: reason, at: now}
}

// refused counts requests refused for want of room. The caller holds the lock.
func (g *gate) refused(n int, now time.Duration) {
	if n > 0 {
		g.adaptive.shed(n)
		g.queue.refused = now
	}
}

// turnAway counts a request refused without a queue.
func (g *gate) turnAway() {
	g.mu.Lock()
	g.adaptive.shed(1)
	g.mu.Unlock()
}

// tag returns the probe that a request admitted without waiting belongs to.
func (g *gate) tag() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.adaptive.admitted()
}

// leave gives a slot back. A completion that says nothing about the handler is
// not counted.
func (g *gate) leave(c completion, counted bool) {
	g.mu.Lock()
	c.inFlight = int(g.inFlight.Add(-1)) + 1
	if counted && g.adaptive.completed(c) {
		g.publish()
	}
	if g.waiting.Load() > 0 {
		g.dispatch(c.at)
	}
	g.mu.Unlock()
}

// dispatch hands free slots to those that wait.
func (g *gate) dispatch(now time.Duration) {
	q := &g.queue
	g.refused(q.prune(now), now)
	for q.length > 0 {
		if _, ok := g.take(int(g.limit.Load())); !ok {
			break
		}
		w := q.pick(g.ranked)
		w.probe = g.adaptive.admitted()
		q.resolve(w, now, ShedNone)
	}
	g.waiting.Store(int64(q.length))
}

// publish makes what was learnt known to requests that do not take the lock.
func (g *gate) publish() {
	a := &g.adaptive
	g.limit.Store(int64(a.limit))
	g.queue.short = min(max(shortWait, time.Duration(a.base)), g.maxWait)
	g.queue.interval = min(max(time.Duration(5*a.base), leastPatient), g.maxWait)
	if a.windows <= learning {
		g.queue.interval = g.maxWait // the limit may be too low yet
	}
	g.calendar.throughput.Store(int64(a.throughput() * 1000))
	g.probing.Store(a.probe.on)
}
