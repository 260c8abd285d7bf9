package fleet

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// maxStuck is how many calls of a shard may be without an answer after its
// time: a client without a timeout of its own can hold on to them.
const maxStuck = 3

// A syncer decides when a process talks to the fleet, and about which budgets.
// It has no goroutine and no clock: who drives it calls begin when next is due
// or a budget woke, sends the calls, and hands the results to end.
type syncer struct {
	limits Limits
	rand   *rand.Rand
	shards []shard
	paced  time.Duration // when the next round may be, unless burst allows it earlier
	// forget is asked to let go of a budget that is not in use.
	forget func(*Budget) bool

	mu     sync.Mutex
	joined []*Budget // since the last begin
}

func newSyncer(l Limits, shards int, r *rand.Rand) *syncer {
	s := &syncer{limits: l, rand: r, shards: make([]shard, shards), forget: func(*Budget) bool { return false }}
	for i := range s.shards {
		s.shards[i].interval = l.Min
	}
	return s
}

// join adds a budget, on any goroutine.
func (s *syncer) join(b *Budget) {
	s.mu.Lock()
	s.joined = append(s.joined, b)
	s.mu.Unlock()
}

// wake notes, on any goroutine, that a budget was refused, or that one which
// was forgotten is used again.
func (s *syncer) wake(b *Budget) {
	b.woken.Store(true)
	if b.out.CompareAndSwap(true, false) {
		s.join(b)
	}
	s.shards[b.shard].woken.Store(true)
}

func (s *syncer) admit(now time.Duration) {
	s.mu.Lock()
	joined := s.joined
	s.joined = nil
	s.mu.Unlock()
	for _, b := range joined {
		h := &s.shards[b.shard]
		if b.in {
			continue
		}
		b.in = true
		b.mu.Lock()
		l := &b.ledger
		l.looked, l.active, l.saidAt, l.speakAt = now, now, now, now
		b.mu.Unlock()
		h.budgets = append(h.budgets, b)
		if !h.started {
			h.started = true
			h.last = now - h.interval
			h.due = now + time.Duration(s.rand.Float64()*float64(h.interval))
		}
	}
}

// lost is how many shards are.
func (s *syncer) lost() (n int) {
	for i := range s.shards {
		if s.shards[i].failing {
			n++
		}
	}
	return n
}

// next is when begin should be called again, if nothing happens before.
func (s *syncer) next(now time.Duration) time.Duration {
	next := now + s.limits.Max
	for i := range s.shards {
		h := &s.shards[i]
		if h.started && h.inFlight == 0 {
			next = min(next, h.due)
		}
	}
	return next
}

// begin returns the calls to send now.
func (s *syncer) begin(now time.Duration) []*call {
	s.admit(now)
	var calls []*call
	// First the shards that were lost, then those with a budget that was
	// refused; of equals, the one that waited longest.
	order := make([]int, 0, len(s.shards))
	for i := range s.shards {
		h := &s.shards[i]
		if !h.started || h.inFlight > 0 {
			continue
		}
		if h.woken.Load() && !h.failing {
			h.due = min(h.due, s.wokenAt(h, now))
		}
		if h.due <= now {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &s.shards[a], &s.shards[b]
		return cmp.Or(cmp.Compare(y.urgency(), x.urgency()), cmp.Compare(x.last, y.last))
	})
	for _, i := range order {
		calls = s.round(i, now, calls)
	}
	return calls
}

// round appends the calls of a shard that is due.
func (s *syncer) round(i int, now time.Duration, calls []*call) []*call {
	h := &s.shards[i]
	if h.stuck >= maxStuck {
		h.due = now + probeEvery
		return calls
	}
	// What brings a lost shard back has bounds of its own.
	urgent := h.failing || h.found
	if earliest := s.paced - burst*s.limits.pace(); now < earliest && !urgent {
		h.due = earliest
		return calls
	}
	woken := h.woken.Swap(false)
	h.found = false
	before := len(calls)
	if h.failing && len(h.budgets) > 0 {
		calls = append(calls, s.probe(i, now))
	} else {
		h.failing = false
		calls = s.collect(i, now, woken, calls)
	}
	h.inFlight = len(calls) - before
	if h.inFlight == 0 {
		h.due = now + h.interval
		if h.still {
			h.due = now + max(h.interval, stillEvery)
		}
		return calls
	}
	h.last = now
	if urgent {
		return calls
	}
	// Chance keeps processes from falling into step, where who always asks
	// first gets most.
	s.paced = max(s.paced, now) + s.jitter(s.limits.pace())
	return calls
}
