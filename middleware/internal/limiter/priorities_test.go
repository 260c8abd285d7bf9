package limiter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
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

// Who goes first, and who then lets others go before it. A number joins with that priority,
// and after a colon with the time when its call is over; "go" lets one go, and "out" takes
// out the one that came first.
func TestPrioritiesInTurn(t *testing.T) {
	for _, tt := range []struct {
		name      string
		steps     string
		went      string // in that order
		outranked string // those left before whom one of a higher priority went, as they came
		passes    int    // that are remembered
		losers    string // who makes room for higher ones then, until nobody is left
	}{
		{"the highest", "0 2 1 go go go", "2 1 0", "", 3, ""},
		{"of more than a word has bits", "63 199 64 127 128 go go go go go", "199 128 127 64 63", "", 5, ""},
		{"of one priority, as they came", "1:0 1 1 go go", "1:0 1", "", 1, "1"},
		{"of those that say when their call is over, the first that is", "1:9 1:3 2:5 2:4 go go go", "2:4 2:5 1:3", "1:9", 2, "1:9"},
		{"also after others have left", "1:9 1:3 1:5 out go", "1:3", "", 1, "1:5"},
		{"also after the first of them has", "1:3 1:9 1:5 out go", "1:5", "", 1, "1:9"},
		{"of those that have left, none", "1:5 1:3 out go 1:9 go", "1:3 1:9", "", 1, ""},
		{"nor of those that went", "1:5 1:3 go 1:9 go go", "1:3 1:5 1:9", "", 1, ""},
		{"one lower lets it go before it", "1 2 go", "2", "1", 1, "1"},
		{"not one that came after that", "2 go 1", "2", "", 1, "1"},
		{"one that came between two that do", "2 go 1 2 go", "2 2", "1", 1, "1"},
		{"nor one as high", "2 2 go", "2", "", 1, "2"},
		{"of two that went, the higher counts longer", "1 2 3 go 2 go", "3 2", "1", 2, "1 2"},
		{"a higher one that went later counts instead", "1 2 go 3 go 2", "2 3", "1", 1, "1 2"},
		{"the lowest make room, the newest of them first", "0 70 0 199 1", "", "", 0, "0 0 1 70 199"},
		{"not one that has left", "0 1 0 out", "", "", 0, "0 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := waitQueue{priorities: newPriorities(200)}
			names := map[*Waiter]string{}
			var waits []*Waiter
			leave := func(w *Waiter) {
				q.remove(w)
				waits = slices.DeleteFunc(waits, func(o *Waiter) bool { return o == w })
			}
			var went, outranked, losers []string
			for _, step := range strings.Fields(tt.steps) {
				switch step {
				case "go":
					w := q.pick(0)
					went = append(went, names[w])
					leave(w)
				case "out":
					leave(waits[0])
				default:
					var r Request
					before, after, _ := strings.Cut(step, ":")
					r.Priority, _ = strconv.Atoi(before)
					due, _ := strconv.Atoi(after)
					r.Due = time.Duration(due)
					w := newWaiter(0, r)
					q.push(w)
					names[w], waits = step, append(waits, w)
				}
			}
			for _, w := range waits {
				if q.priorities.outranked(w) {
					outranked = append(outranked, names[w])
				}
			}
			passes := len(q.priorities.passes)
			for q.all.length > 0 {
				w, reason := q.loser(200)
				if w == nil || reason != ReasonPriority || w.links[inPriority].next != nil {
					t.Fatalf("got %+v for %q to make room, want the newest of the lowest priority", w, reason)
				}
				losers = append(losers, names[w])
				leave(w)
			}
			got := []string{strings.Join(went, " "), strings.Join(outranked, " "), strings.Join(losers, " ")}
			if want := []string{tt.went, tt.outranked, tt.losers}; !slices.Equal(got, want) || passes != tt.passes {
				t.Errorf("got %q and %d passes, want %q and %d", got, passes, want, tt.passes)
			}
		})
	}
}

// How much room priorities take: a bit each, in words of 64.
func TestPrioritiesUsed(t *testing.T) {
	for n, want := range map[int]int{1: 1, 63: 1, 64: 1, 65: 2, 128: 2, 500: 8} {
		if p := newPriorities(n); len(p.used) != want || len(p.lists) != n {
			t.Errorf("%d: got %d words for %d lists, want %d", n, len(p.used), len(p.lists), want)
		}
	}
}

// Without priorities the oldest makes room if the queue stands, or else the one that comes.
func TestLoserWithoutPriorities(t *testing.T) {
	for _, standing := range []bool{false, true} {
		q := waitQueue{standing: standing}
		first := newWaiter(0, Request{})
		q.push(first)
		q.push(newWaiter(0, Request{}))
		if got, reason := q.loser(0); (got == first) != standing || reason != ReasonQueue {
			t.Errorf("it stands: %v: got %+v for %q", standing, got, reason)
		}
	}
}

// While the queue stands, the oldest makes room, unless its priority is higher.
func TestLoserOfAStandingQueue(t *testing.T) {
	for joins, want := range map[int]bool{0: false, 1: false, 2: true} {
		q := waitQueue{standing: true, priorities: newPriorities(3)}
		first := newWaiter(0, Request{Priority: 2})
		q.push(first)
		q.push(newWaiter(0, Request{Priority: 2}))
		if got, reason := q.loser(joins); (got == first) != want || reason != ReasonQueue {
			t.Errorf("one of priority %d joins: got %+v for %q", joins, got, reason)
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
