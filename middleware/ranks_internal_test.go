package middleware

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// walked is a queue that is walked along for every question: slow, and plain to
// see what it does.
type walked struct {
	all       []*waiter // in order of arrival
	outranked map[*waiter]bool
}

func (q *walked) remove(w *waiter) {
	q.all = slices.DeleteFunc(q.all, func(o *waiter) bool { return o == w })
}

func (q *walked) pick(standing bool) *waiter {
	best := q.all[0]
	for _, w := range q.all {
		if w.rank > best.rank || standing && w.rank == best.rank {
			best = w
		}
	}
	for _, w := range q.all {
		if w.rank < best.rank {
			q.outranked[w] = true
		}
	}
	return best
}

func (q *walked) loser(rank int, standing bool) *waiter {
	var least *waiter
	for _, w := range q.all {
		if w.rank < rank && (least == nil || w.rank <= least.rank) {
			least = w
		}
	}
	if least == nil && standing && q.all[0].rank <= rank {
		least = q.all[0]
	}
	return least
}

// The queue picks, sheds and gives reasons as if it were walked along.
func TestRanksAreThoseOfAQueueThatIsWalked(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		q, model := queue{ranks: new(ranks)}, walked{outranked: map[*waiter]bool{}}
		levels := []int{1, 2, 5, 64, 500}[seed%5]
		rank := func() int { return (MinPriority + r.IntN(levels)*(MaxPriority/levels+1)) % (MaxPriority + 1) }
		for step := range 2000 {
			q.standing = r.IntN(2) == 0
			if len(model.all) == 0 || r.IntN(5) < 2 {
				w := &waiter{rank: rank()}
				q.push(w)
				model.all = append(model.all, w)
				continue
			}
			var out *waiter
			switch r.IntN(3) {
			case 0:
				out = q.pick()
				if want := model.pick(q.standing); out != want {
					t.Fatalf("seed %d, step %d: picked rank %d, want %d", seed, step, out.rank, want.rank)
				}
			case 1:
				rank := rank()
				loser, reason := q.loser(rank)
				if want := model.loser(rank, q.standing); loser != want {
					t.Fatalf("seed %d, step %d: loser %+v, want %+v", seed, step, loser, want)
				}
				if loser == nil {
					continue
				}
				if got, want := reason == ShedPriority, loser.rank < rank; got != want {
					t.Fatalf("seed %d, step %d: by priority: %v, want %v", seed, step, got, want)
				}
				out = loser
			case 2:
				out = model.all[r.IntN(len(model.all))]
			}
			q.remove(out)
			model.remove(out)
			if got, want := q.reason(out, 0) == ShedPriority, model.outranked[out]; got != want {
				t.Fatalf("seed %d, step %d: outranked %v, want %v", seed, step, got, want)
			}
			if got := len(q.ranks.passes); got > levels {
				t.Fatalf("seed %d, step %d: %d passes kept of %d levels", seed, step, got, levels)
			}
			if q.all.length != len(model.all) {
				t.Fatalf("seed %d, step %d: length %d, want %d", seed, step, q.all.length, len(model.all))
			}
		}
	}
}

// What one that joins a full queue, and one that leaves it, cost under the lock.
func BenchmarkFullQueue(b *testing.B) {
	for _, levels := range []int{0, 1, 5, 500} {
		b.Run(fmt.Sprintf("levels %d", levels), func(b *testing.B) {
			var q queue
			if levels > 0 {
				q.ranks = new(ranks)
			}
			next := func() *waiter { return &waiter{rank: rand.IntN(max(1, levels)), done: make(chan outcome, 1)} }
			for range mostQueue {
				q.push(next())
			}
			b.ReportAllocs()
			for b.Loop() {
				w := next()
				if loser, reason := q.loser(w.rank); loser != nil {
					q.resolve(loser, 0, reason)
					q.push(w)
				}
				q.resolve(q.pick(), 0, ShedNone)
				q.push(next())
			}
		})
	}
}
