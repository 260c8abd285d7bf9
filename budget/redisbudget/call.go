package redisbudget

import (
	"slices"
	"time"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// maxKeys budgets are in a call at most, so that it holds Redis up for less
// than a third of a millisecond.
const maxKeys = 32

// A call is one exchange.
type call struct {
	shard   int
	at      time.Duration
	keys    []string
	asks    []ask
	budgets []*Shared
	books   []account.Books
	// safe says that the call may be executed more than once: it carries no
	// credit.
	safe bool
	over bool // ended, or given up, so that an answer no longer counts

	scriptSent bool // the server did not know it
}

func (c *call) add(b *Shared, a ask, books account.Books) {
	c.keys = append(c.keys, b.key)
	c.asks = append(c.asks, a)
	c.budgets = append(c.budgets, b)
	c.books = append(c.books, books)
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
