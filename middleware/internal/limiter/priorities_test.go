package limiter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// walked is a queue that is walked along for every question. It is slow and simple.
type walked struct {
	all       []*Waiter // in order of arrival
	outranked map[*Waiter]bool
}

func (q *walked) remove(w *Waiter) {
	q.all = slices.DeleteFunc(q.all, func(o *Waiter) bool { return o == w })
}

func (q *walked) pick(standing bool) *Waiter {
	best := q.all[0]
	for _, w := range q.all {
		if w.priority > best.priority || standing && w.priority == best.priority {
			best = w
		}
	}
	for _, w := range q.all {
		if w.priority < best.priority {
			q.outranked[w] = true
		}
	}
	return best
}

func (q *walked) loser(priority int, standing bool) *Waiter {
	var least *Waiter
	for _, w := range q.all {
		if w.priority < priority && (least == nil || w.priority <= least.priority) {
			least = w
		}
	}
	if least == nil && standing && q.all[0].priority <= priority {
		least = q.all[0]
	}
	return least
}

// The queue picks, refuses and gives reasons as if it were walked along.
func TestPrioritiesAsInAQueueThatIsWalked(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		q, model := waitQueue{priorities: newPriorities(500)}, walked{outranked: map[*Waiter]bool{}}
		levels := []int{1, 2, 5, 64, 500}[seed%5]
		priority := func() int { return r.IntN(levels) * (499/levels + 1) % 500 }
		for step := range 2000 {
			q.standing = r.IntN(2) == 0
			if len(model.all) == 0 || r.IntN(5) < 2 {
				w := &Waiter{priority: priority()}
				q.push(w)
				model.all = append(model.all, w)
				continue
			}
			var out *Waiter
			switch r.IntN(3) {
			case 0:
				out = q.pick(0)
				if want := model.pick(q.standing); out != want {
					t.Fatalf("seed %d, step %d: picked priority %d, want %d", seed, step, out.priority, want.priority)
				}
			case 1:
				priority := priority()
				loser, reason := q.loser(priority)
				if want := model.loser(priority, q.standing); loser != want {
					t.Fatalf("seed %d, step %d: loser %+v, want %+v", seed, step, loser, want)
				}
				if loser == nil {
					continue
				}
				if got, want := reason == ReasonPriority, loser.priority < priority; got != want {
					t.Fatalf("seed %d, step %d: by priority: %v, want %v", seed, step, got, want)
				}
				out = loser
			case 2:
				out = model.all[r.IntN(len(model.all))]
			}
			q.remove(out)
			model.remove(out)
			if got, want := q.reason(out, 0) == ReasonPriority, model.outranked[out]; got != want {
				t.Fatalf("seed %d, step %d: outranked %v, want %v", seed, step, got, want)
			}
			if got := len(q.priorities.passes); got > levels {
				t.Fatalf("seed %d, step %d: %d passes kept of %d levels", seed, step, got, levels)
			}
			if q.all.length != len(model.all) {
				t.Fatalf("seed %d, step %d: length %d, want %d", seed, step, q.all.length, len(model.all))
			}
		}
	}
}

// The cost under the lock of a request that joins a full queue and one that leaves it.
func BenchmarkFullQueue(b *testing.B) {
	for _, levels := range []int{0, 1, 5, 500} {
		b.Run(fmt.Sprintf("levels %d", levels), func(b *testing.B) {
			var q waitQueue
			if levels > 0 {
				q.priorities = newPriorities(500)
			}
			next := func() *Waiter { return newWaiter(0, Request{Priority: rand.IntN(max(1, levels))}) }
			for range mostQueue {
				q.push(next())
			}
			b.ReportAllocs()
			for b.Loop() {
				w := next()
				if loser, reason := q.loser(w.priority); loser != nil {
					q.resolve(loser, Decision{Reason: reason})
					q.push(w)
				}
				q.resolve(q.pick(0), Decision{})
				q.push(next())
			}
		})
	}
}
