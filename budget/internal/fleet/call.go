package fleet

import (
	"slices"
	"time"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// maxKeys budgets are in a call at most, so that it holds Redis up for less than a
// third of a millisecond.
const maxKeys = 32

// A call is an exchange that this process makes, with what it is about here.
type call struct {
	Exchange
	at      time.Duration
	budgets []*Budget       // none in a probe
	books   []account.Books // of each, when it was asked for
	over    bool            // ended, or given up, so that an answer no longer counts
}

func (c *call) add(b *Budget, a Ask, books account.Books) {
	c.Keys = append(c.Keys, b.key)
	c.Asks = append(c.Asks, a)
	c.budgets = append(c.budgets, b)
	c.books = append(c.books, books)
}

// collect prepares the budgets of a shard, and forgets those out of use.
func (s *syncer) collect(i int, now time.Duration, woken bool, calls []*call) []*call {
	h := &s.shards[i]
	h.interval, h.fleet, h.still = s.limits.Min, 0, true
	var c *call
	h.budgets = slices.DeleteFunc(h.budgets, func(b *Budget) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		h.fleet = max(h.fleet, b.ledger.last.Instances)
		h.interval = max(h.interval, s.limits.interval(h.fleet))
		a, books, speak := b.ledger.prepare(now, h.interval, s.limits.Max, woken && b.woken.Swap(false))
		h.still = h.still && b.ledger.active < b.ledger.looked
		if !speak {
			return s.retire(b, now)
		}
		if c == nil || len(c.Keys) == maxKeys {
			c = &call{Exchange: Exchange{Shard: i}, at: now}
			calls = append(calls, c)
		}
		a.Draw = s.rand.Float64()
		c.add(b, a, books)
		return false
	})
	return calls
}

// retire forgets a budget that may be forgotten and is not in use, with its
// lock held. If somebody still holds it, its next call brings it back.
func (s *syncer) retire(b *Budget, now time.Duration) bool {
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
	return &call{Exchange: Exchange{Shard: i, Safe: true, Keys: []string{b.key}, Asks: make([]Ask, 1)}, at: now}
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
			a := Ask{Give: float64(b.account.TakeAbove(0))}
			b.ledger.report(&a, now, s.limits.Max, books)
			if c == nil || len(c.Keys) == maxKeys {
				c = &call{Exchange: Exchange{Shard: i}, at: now}
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
	foreign              []*Budget // whose key is found to hold something else
	turned               []*Budget // paused or resumed
	changed              bool      // the shard was lost, or found again
}

// end takes in the result of a call, at the time now.
func (s *syncer) end(c *call, now time.Duration, answers []Answer, err error) outcome {
	h := &s.shards[c.Shard]
	h.inFlight--
	o := outcome{err: err}
	for i, b := range c.budgets {
		b.mu.Lock()
		l := &b.ledger
		switch paused, foreign := l.paused(), l.foreign; {
		case err != nil:
			l.exchanges++
			l.lose(c.Asks[i], c.at)
			o.lost += c.Asks[i].Give / token
		case l.apply(c.Asks[i], answers[i], c.at, c.books[i], s.limits):
			o.given += c.Asks[i].Give / token
			o.granted += answers[i].Grant
			if l.paused() != paused {
				o.turned = append(o.turned, b)
			}
		default:
			o.lost += c.Asks[i].Give / token
			if !foreign {
				o.foreign = append(o.foreign, b)
			}
		}
		b.exchanged()
		b.mu.Unlock()
	}
	switch {
	case err != nil && !h.failing:
		o.changed = true
		h.failing, h.backoff = true, h.interval
		s.disconnect(h)
	case err != nil:
		h.backoff = min(2*h.backoff, max(probeEvery, h.interval))
	case c.Safe:
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
			b.exchanged()
			b.mu.Unlock()
		}
	}
}
