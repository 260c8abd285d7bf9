package redisbudget

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

const (
	// most budgets in a call, so that it holds Redis up for less than a third
	// of a millisecond.
	maxKeys = 32
	// soonest is how long a woken exchange waits at most, so that the many
	// which one failure wakes do not come at once.
	soonest = 20 * time.Millisecond
	// probeEvery bounds the time between attempts to reach a lost shard.
	probeEvery = time.Second
	// answerIn is how long an exchange may take.
	answerIn = 500 * time.Millisecond
	// stillEvery is how often budgets are looked at where nothing happens. A
	// refusal ends that at once.
	stillEvery = time.Second
	// maxStuck is how many calls of a shard may be without an answer after
	// that: a client without a timeout of its own can hold on to them.
	maxStuck = 3
	// spread is how far an interval may be off, as a part of it.
	spread = 0.15
	// burst is how many rounds may follow each other without a pause.
	burst = 3
)

// limits bound how often a process talks to the fleet.
type limits struct {
	min, max time.Duration
	rate     float64 // calls per second of all processes, to one shard
}

// interval is the time between exchanges of each of the instances.
func (l limits) interval(instances float64) time.Duration {
	seconds := min(instances/l.rate, l.max.Seconds())
	return min(max(time.Duration(seconds*float64(time.Second)), l.min), l.max)
}

// pace is the mean time between rounds of a process, whatever it has to say:
// three in a second with the default interval.
func (l limits) pace() time.Duration { return l.min * 17 / 10 }

// A syncer decides when a process talks to the fleet, and about which budgets.
// It has no goroutine and no clock: who drives it calls begin when next is due
// or a budget woke, sends the calls, and hands the results to end.
type syncer struct {
	limits limits
	rand   *rand.Rand
	shards []shard
	paced  time.Duration // when the next round may be, but for burst
	// forget is asked to let go of a budget that is not in use.
	forget func(*Shared) bool

	mu     sync.Mutex
	joined []*Shared // since the last begin
}

// A shard is a part of the budgets whose keys are in one slot of a cluster.
// They share a rhythm, so that one call can carry them.
type shard struct {
	budgets  []*Shared
	woken    atomic.Bool
	started  bool
	due      time.Duration
	last     time.Duration // when it last sent calls
	interval time.Duration
	fleet    float64 // the most processes that share one of the budgets
	inFlight int
	stuck    int
	failing  bool
	still    bool // nothing happened in the last interval
	found    bool // just now, after it was failing
	backoff  time.Duration
}

// urgency orders shards that are due.
func (h *shard) urgency() int {
	switch {
	case h.failing || h.found:
		return 2
	case h.woken.Load():
		return 1
	}
	return 0
}

// A call is one exchange.
type call struct {
	shard   int
	at      time.Duration
	keys    []string
	asks    []ask
	budgets []*Shared
	books   []budget.Books
	// safe says that the call may be executed more than once: it carries no
	// credit.
	safe bool
	over bool // ended, or given up, so that an answer no longer counts

	scriptSent bool // the server did not know it
}

func newSyncer(l limits, shards int, r *rand.Rand) *syncer {
	s := &syncer{limits: l, rand: r, shards: make([]shard, shards), forget: func(*Shared) bool { return false }}
	for i := range s.shards {
		s.shards[i].interval = l.min
	}
	return s
}

// join adds a budget, on any goroutine.
func (s *syncer) join(b *Shared) {
	s.mu.Lock()
	s.joined = append(s.joined, b)
	s.mu.Unlock()
}

// wake notes, on any goroutine, that a budget was refused, or that one which
// was forgotten is used again.
func (s *syncer) wake(b *Shared) {
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

// next is when begin should be called again, if nothing happens before.
func (s *syncer) next(now time.Duration) time.Duration {
	next := now + s.limits.max
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

// wokenAt is when a woken shard may speak: soon, but in a large fleet at most
// twice in an interval. In a small one the pace is bound enough.
func (s *syncer) wokenAt(h *shard, now time.Duration) time.Duration {
	jitter := time.Duration(s.rand.Float64() * float64(h.crowd()))
	gap := h.interval / 2
	if h.interval == s.limits.min {
		gap = h.interval / 8
	}
	return max(now+jitter, h.last+gap)
}

// crowd is over how long the calls should be spread that one failure wakes, at
// fifty in a millisecond.
func (h *shard) crowd() time.Duration {
	if h.fleet < 1 {
		return soonest
	}
	return min(time.Duration(h.fleet*float64(time.Millisecond)/50), soonest)
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

// collect prepares the budgets of a shard, and forgets those out of use.
func (s *syncer) collect(i int, now time.Duration, woken bool, calls []*call) []*call {
	h := &s.shards[i]
	h.interval, h.fleet, h.still = s.limits.min, 0, true
	var c *call
	h.budgets = slices.DeleteFunc(h.budgets, func(b *Shared) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		h.fleet = max(h.fleet, b.ledger.last.instances)
		h.interval = max(h.interval, s.limits.interval(h.fleet))
		a, books, speak := b.ledger.prepare(now, h.interval, s.limits.max, woken && b.woken.Swap(false))
		h.still = h.still && b.ledger.active < b.ledger.looked
		if !speak {
			return s.retire(b, now)
		}
		if c == nil || len(c.keys) == maxKeys {
			c = &call{shard: i, at: now}
			calls = append(calls, c)
		}
		a.draw = s.rand.Float64()
		c.add(b, a, books)
		return false
	})
	return calls
}

func (c *call) add(b *Shared, a ask, books budget.Books) {
	c.keys = append(c.keys, b.key)
	c.asks = append(c.asks, a)
	c.budgets = append(c.budgets, b)
	c.books = append(c.books, books)
}

// retire forgets a budget that may be forgotten and is not in use, with its
// lock held. If somebody still holds it, its next call brings it back.
func (s *syncer) retire(b *Shared, now time.Duration) bool {
	if !b.ledger.unused(now) || !s.forget(b) {
		return false
	}
	b.in = false
	b.out.Store(true)
	b.account.Sleep()
	return true
}

// probe is a call that moves nothing, so that the client may repeat it: a
// cluster client learns of a new master only then.
func (s *syncer) probe(i int, now time.Duration) *call {
	h := &s.shards[i]
	for _, b := range h.budgets {
		b.mu.Lock()
		b.ledger.look(now, h.interval)
		b.ledger.settleCeiling(h.interval)
		b.mu.Unlock()
	}
	b := h.budgets[s.rand.IntN(len(h.budgets))]
	return &call{shard: i, at: now, safe: true, keys: []string{b.key}, asks: make([]ask, 1)}
}

// An outcome is what came of a call.
type outcome struct {
	err                  error
	given, granted, lost float64
	foreign              []*Shared // whose key is found to hold something else
	turned               []*Shared // paused or resumed
	changed              bool      // the shard was lost, or found again
}

// end takes in the result of a call, at the time now.
func (s *syncer) end(c *call, now time.Duration, answers []answer, err error) outcome {
	h := &s.shards[c.shard]
	h.inFlight--
	o := outcome{err: err}
	for i, b := range c.budgets {
		b.mu.Lock()
		l := &b.ledger
		switch paused, foreign := l.paused(), l.foreign; {
		case err != nil:
			l.exchanges++
			l.lose(c.asks[i], c.at)
			o.lost += c.asks[i].give / token
		case l.apply(c.asks[i], answers[i], c.at, c.books[i], s.limits):
			o.given += c.asks[i].give / token
			o.granted += answers[i].grant
			if l.paused() != paused {
				o.turned = append(o.turned, b)
			}
		default:
			o.lost += c.asks[i].give / token
			if !foreign {
				o.foreign = append(o.foreign, b)
			}
		}
		b.mu.Unlock()
	}
	switch {
	case err != nil && !h.failing:
		o.changed = true
		h.failing, h.backoff = true, h.interval
		s.disconnect(h)
	case err != nil:
		h.backoff = min(2*h.backoff, max(probeEvery, h.interval))
	case c.safe:
		// What had to wait meanwhile follows soon, but not all at once.
		o.changed = h.failing
		h.failing, h.found = false, true
		h.due = now + time.Duration(s.rand.Float64()*float64(h.crowd()))
		return o
	}
	if h.inFlight == 0 {
		if h.failing {
			h.due = now + s.jitter(h.backoff)
		} else {
			h.due = now + s.jitter(h.interval)
		}
	}
	return o
}

// disconnect leaves the budgets of a shard to themselves.
func (s *syncer) disconnect(h *shard) {
	for _, b := range h.budgets {
		b.mu.Lock()
		b.ledger.connected = false
		b.ledger.settleCeiling(h.interval)
		b.mu.Unlock()
	}
}

func (s *syncer) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + spread*(2*s.rand.Float64()-1)))
}

// handBack returns the calls that give the credit of all budgets away.
func (s *syncer) handBack(now time.Duration) []*call {
	s.admit(now)
	var calls []*call
	for i := range s.shards {
		h := &s.shards[i]
		h.inFlight = 0
		var c *call
		for _, b := range h.budgets {
			b.mu.Lock()
			books := b.account.Books()
			a := ask{give: float64(b.account.TakeAbove(0))}
			b.ledger.report(&a, now, s.limits.max, books)
			if c == nil || len(c.keys) == maxKeys {
				c = &call{shard: i, at: now}
				calls = append(calls, c)
				h.inFlight++
			}
			c.add(b, a, books)
			b.mu.Unlock()
		}
	}
	return calls
}

// part leaves all budgets to themselves, for good.
func (s *syncer) part() {
	for i := range s.shards {
		for _, b := range s.shards[i].budgets {
			b.mu.Lock()
			b.ledger.connected = false
			b.account.SetCeiling(0)
			b.mu.Unlock()
		}
	}
}
