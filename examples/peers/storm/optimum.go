package main

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// optimum is the success that the service could have had with the same calls:
// whenever a worker is free it takes the call that has the least time left of
// those that have any, without knowing how much work that is. It is no bound,
// since one could guess better, but nothing is sent twice and nothing is sent for
// who has gone. It is known of one backend of which nothing hangs or fails.
func (s *scenario) optimum(seed uint64) (success float64, known bool) {
	now := state{alive: s.workers, factor: 1, flaws: s.flaws}
	var events []event
	if s.script != nil {
		events = s.script(s)
		slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	}
	for _, e := range events {
		e.do(&now)
		if now.fail > 0 || now.hang > 0 {
			return 0, false
		}
	}
	if s.zones > 1 || s.hops > 0 || s.server != naive && s.server != ours || s.flaws != (flaws{}) {
		return 0, false
	}
	now = state{alive: s.workers, factor: 1}
	var calls []promise
	for client := range s.clients {
		for at := range s.arrivals(client, seed) {
			for range max(s.burst, 1) {
				calls = append(calls, promise{at, at + s.due(at)})
			}
		}
	}
	slices.SortFunc(calls, func(a, b promise) int { return cmp.Compare(a.came, b.came) })
	work, random := s.work(s.mean), rand.New(rand.NewPCG(seed*100, 1))
	var waiting promises
	free := make([]time.Duration, s.workers) // when each worker is
	good, next := 0, 0
	for at := time.Duration(0); ; {
		for ; len(events) > 0 && events[0].at <= at; events = events[1:] {
			events[0].do(&now)
		}
		for ; next < len(calls) && calls[next].came <= at; next++ {
			heap.Push(&waiting, calls[next])
		}
		alive := now.alive
		if now.refuses != nil {
			alive = 0
		}
		for i := 0; i < min(alive, len(free)); i++ {
			for free[i] <= at && len(waiting) > 0 {
				p := heap.Pop(&waiting).(promise)
				if p.due <= at {
					continue
				}
				free[i] = at + time.Duration(float64(work(random))*now.factor)
				late := time.Duration(0)
				if now.extra != nil {
					late = now.extra(random)
				}
				if free[i]+late <= p.due {
					good++
				}
			}
		}
		// On to what happens next.
		then := time.Duration(-1)
		soonest := func(t time.Duration) {
			if t > at && (then < 0 || t < then) {
				then = t
			}
		}
		if next < len(calls) {
			soonest(calls[next].came)
		}
		if len(events) > 0 {
			soonest(events[0].at)
		}
		if len(waiting) > 0 {
			for _, t := range free {
				soonest(t)
			}
		}
		if then < 0 {
			return ratio(good, len(calls)), true
		}
		at = then
	}
}

// A promise is a call, when it came and when it must be answered.
type promise struct{ came, due time.Duration }

// promises is a heap with the one on top that has the least time left.
type promises []promise

func (p promises) Len() int           { return len(p) }
func (p promises) Less(i, j int) bool { return p[i].due < p[j].due }
func (p promises) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *promises) Push(x any)        { *p = append(*p, x.(promise)) }
func (p *promises) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	*p = (*p)[:last]
	return x
}
