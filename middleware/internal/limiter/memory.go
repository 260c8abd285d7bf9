package limiter

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	memoryEvery = 10 * time.Millisecond
	memoryFull  = .85 // used share of the memory from which on the limit goes down
	memoryCalm  = .75 // and up to which it goes up again
	memoryVain  = 40  // collections after which a lower limit has not helped
	memoryHelp  = .05 // by which the used share falls if it has helped
	memoryStale = time.Second
)

// A MemorySample says how much memory is in use.
type MemorySample struct {
	Used, Limit uint64 // bytes; without what the garbage collector would free
	Collections uint64 // of garbage so far: Used is what the last one left
}

// memoryLimit watches how much of its memory the process uses. Requests in the
// handler hold memory, so it lowers the limit when little is left, below what it is
// found to be otherwise. Memory may also be used by something else, such as a cache.
// Then a lower limit does not help, and memoryLimit ignores it until there is enough.
//
// It judges once for each collection of garbage, since nothing is known in between.
// It is not safe for concurrent use, except for due.
type memoryLimit struct {
	next   atomic.Int64 // when to take the next sample
	sample func() (MemorySample, bool)

	limit       float64 // 0: none
	before      float64 // used share when the limit began to go down
	over        int     // samples since then that were too high
	vain        bool    // a lower limit has not helped
	collections uint64
	at          time.Duration // of the last sample that was judged
}

// due reports whether it is time to look, to one caller of several.
func (m *memoryLimit) due(now time.Duration) bool {
	next := m.next.Load()
	return int64(now) >= next && m.next.CompareAndSwap(next, int64(now+memoryEvery))
}

// capped returns the limit or, while there is little memory, less.
func (m *memoryLimit) capped(limit float64) float64 {
	if m != nil && m.limit > 0 {
		return math.Min(limit, m.limit)
	}
	return limit
}

// judge sets the limit, not below the floor, by the memory that is in use while so
// many requests are in the handler.
func (m *memoryLimit) judge(now time.Duration, s MemorySample, inFlight, floor float64) {
	fresh := s.Collections != m.collections
	if !fresh && now-m.at < memoryStale {
		return
	}
	m.collections, m.at = s.Collections, now
	used := float64(s.Used) / float64(s.Limit)
	switch {
	case used <= memoryCalm || !fresh:
		// Where garbage is not collected, little memory is asked for.
		m.over = 0
		m.vain = m.vain && used > memoryCalm
		m.limit *= 1.25
	case used < memoryFull || m.vain:
	default:
		if m.over++; m.over == 1 {
			m.before = used
		}
		if m.over > memoryVain && used > m.before-memoryHelp {
			m.vain, m.limit = true, 0
			return
		}
		m.limit = math.Max(floor, m.capped(inFlight)*.8)
	}
}

// Watch looks how much memory is in use, if it is time to. Call it when a request
// arrives, with the time if that is known anyway.
func (c *Controller) Watch(now time.Duration) {
	m := c.memory
	if m == nil || !m.due(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := m.sample()
	if !ok || s.Limit == 0 {
		return
	}
	m.judge(now, s, float64(c.InFlight()), c.adaptive.min)
	c.publishLimit()
	c.dispatch(now)
}

// publishLimit makes the limit known to requests that do not take the lock. The
// caller holds it.
func (c *Controller) publishLimit() {
	limit, without := c.adaptive.limit, float64(c.slotless())
	if !c.adaptive.fixed {
		limit = min(limit, max(1, c.adaptive.max-without))
	}
	// Requests without a slot use memory, too.
	short := min(limit, max(1, c.memory.capped(limit+without)-without))
	c.limit.Store(int64(short))
	c.queue.memory = short < limit
}
