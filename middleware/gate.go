package middleware

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// gate admits requests to the handler. One that finds room pays for two atomic
// operations; the lock is for those that do not, and for what is learnt from
// those that leave.
type gate struct {
	epoch    time.Time
	queued   bool // requests may wait
	maxWait  time.Duration
	mostWait time.Duration // also of those that say how long they wait
	calendar calendar

	limit   atomic.Int64
	slots   slots
	waiting atomic.Int64
	probing atomic.Bool
	overrun atomic.Uint32 // thousandths of the requests that the scheduler guard has refused
	every   atomic.Int32  // one in so many requests is measured
	lately  atomic.Int64  // when a request was last refused for want of room; 0: never

	mu       sync.Mutex // guards what follows
	adaptive adaptive
	queue    queue
}

func newGate(c *config, epoch time.Time) *gate {
	g := &gate{epoch: epoch, queued: c.shedding != nil}
	if c.priority != nil {
		g.queue.ranks = new(ranks)
	}
	s := c.shedding.filled()
	g.maxWait, g.mostWait = s.MaxWait, headers.MaxDelay
	if c.shedding != nil && c.shedding.MaxWait > 0 {
		g.mostWait = c.shedding.MaxWait
	}
	g.calendar.longest = s.MaxRetryAfter
	g.adaptive = newAdaptive(float64(s.MinConcurrency), float64(s.MaxConcurrency))
	switch {
	case c.limit != nil:
		g.adaptive.fixed, g.adaptive.limit = true, float64(min(*c.limit, unlimited))
	case s.MinConcurrency == unlimited:
		g.adaptive.fixed, g.adaptive.limit = true, unlimited
	}
	if s.SchedulerLatency > 0 && !g.adaptive.fixed {
		g.adaptive.guard = newSchedGuard(s.SchedulerLatency)
	}
	g.publish()
	return g
}

// now is the time since the epoch, which costs half of what time.Now does.
func (g *gate) now() time.Duration { return time.Since(g.epoch) }

// slots counts the requests in the handler in its lower half and those that
// were ever admitted in its upper half, by which one in so many is told for the
// price of none.
type slots struct{ atomic.Uint64 }

const admission = 1<<32 | 1

func taken(v uint64) int { return int(uint32(v)) }

// take takes a slot if there is one, and returns what there was before.
func (s *slots) take(limit int) (before uint64, ok bool) {
	for {
		v := s.Load()
		if taken(v) >= limit {
			return v, false
		}
		if s.CompareAndSwap(v, v+admission) {
			return v, true
		}
	}
}

// enter takes a slot if there is one and nobody waits for it.
func (g *gate) enter() (before uint64, limit int, ok bool) {
	limit = int(g.limit.Load())
	if g.waiting.Load() > 0 {
		return g.slots.Load(), limit, false
	}
	before, ok = g.slots.take(limit)
	return before, limit, ok
}

// join returns the waiter of a request that found no room, or why it is
// refused at once.
func (g *gate) join(now time.Duration, w *waiter, retry bool) (ShedReason, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.queue
	g.refused(q.prune(now), now)
	// Whoever leaves the handler from here on sees that somebody waits.
	g.waiting.Store(int64(q.all.length) + 1)
	defer func() { g.waiting.Store(int64(q.all.length)) }()
	if q.all.length == 0 {
		if before, ok := g.slots.take(int(g.limit.Load())); ok {
			w.done <- outcome{at: now}
			w.weight = g.weight(before)
			w.probe = g.adaptive.admitted()
			return ShedNone, 0
		}
	}
	work := time.Duration(g.adaptive.base)
	w.waits = min(w.waits-work, g.mostWait)
	patience := q.patience(w)
	if w.expires > 0 {
		w.expires = max(1, w.expires-work)
		patience = min(patience, w.expires-now)
	}
	switch {
	case patience <= 0:
		g.refused(1, now)
		return q.reason(w, now), 0
	case retry && q.standing:
		g.refused(1, now)
		return ShedRetry, 0
	case q.all.length >= g.room():
		g.refused(1, now)
		loser, reason := q.loser(w.rank)
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
	g.waiting.Store(int64(g.queue.all.length))
	if reason == ShedNone {
		reason = g.queue.reason(w, now)
		g.refused(1, now)
	}
	return outcome{reason: reason, at: now}
}

// refused counts requests refused for want of room. The caller holds the lock.
func (g *gate) refused(n int, now time.Duration) {
	if n > 0 {
		g.adaptive.shed(n)
		g.queue.refused = now
		g.lately.Store(int64(now))
		g.every.Store(1)
	}
}

// lull is for how long nobody was refused where there is room again.
const lull = time.Second

// short reports whether there is no room for more at the moment, beside the
// request that asks, which may hold a slot.
func (g *gate) short(now time.Duration, held int) bool {
	others := taken(g.slots.Load()) - held
	at := time.Duration(g.lately.Load())
	return g.waiting.Load() > 0 || others > 0 && others+held >= int(g.limit.Load()) || at > 0 && now-at < lull
}

// turnAway counts a request refused without a queue.
func (g *gate) turnAway(now time.Duration) {
	g.lately.Store(int64(now))
	g.mu.Lock()
	g.adaptive.shed(1)
	g.every.Store(1)
	g.mu.Unlock()
}

// tag returns the probe that a request admitted without waiting belongs to.
func (g *gate) tag() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.adaptive.admitted()
}

// leave gives a slot back.
func (g *gate) leave() (before int) {
	before = taken(g.slots.Add(^uint64(0))) + 1
	// Who joins the queue says so before looking for room, so either it finds
	// this slot or it is seen here.
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.dispatch(g.now())
		g.mu.Unlock()
	}
	return before
}

// learn takes in a request that was measured.
func (g *gate) learn(c completion) {
	g.mu.Lock()
	if g.adaptive.completed(c) {
		g.publish()
		g.dispatch(c.at)
	}
	g.mu.Unlock()
}

// weight returns for how many requests the one at hand is measured; 0 if it is
// not, where there was so much before it. A handler of thousands of requests per second is known by a part of
// them, and one that sheds or is probed is watched closely.
func (g *gate) weight(before uint64) uint8 {
	every := g.every.Load()
	if every <= 1 || g.probing.Load() {
		return 1
	}
	if (before>>32)%uint64(every) == 0 {
		return uint8(every)
	}
	return 0
}

// dispatch hands free slots to those that wait.
func (g *gate) dispatch(now time.Duration) {
	q := &g.queue
	g.refused(q.prune(now), now)
	for q.all.length > 0 {
		before, ok := g.slots.take(int(g.limit.Load()))
		if !ok {
			break
		}
		w := q.pick()
		w.weight = g.weight(before)
		w.probe = g.adaptive.admitted()
		q.resolve(w, now, ShedNone)
	}
	g.waiting.Store(int64(q.all.length))
}

// overruns reports whether a request is refused because the processors are
// behind by far, retries among the first.
func (g *gate) overruns(now time.Duration, retry func() bool) bool {
	share := g.overrun.Load()
	if share == 0 {
		return false
	}
	refused := retry() || rand.Uint32N(1000) < share
	g.mu.Lock()
	defer g.mu.Unlock()
	// Also where nothing is completed any more.
	if a := &g.adaptive; a.guard.due(now) {
		a.guard.look(now, a.limit, float64(taken(g.slots.Load())), a.busy)
		g.publishGuard()
	}
	if refused {
		g.refused(1, now)
	}
	return refused
}

func (g *gate) publishGuard() {
	if guard := g.adaptive.guard; guard != nil {
		g.overrun.Store(uint32(guard.refuse * 1000))
	}
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
	g.every.Store(a.every())
	g.publishGuard()
}
