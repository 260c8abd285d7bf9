package limiter

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Who is most urgent is found as if the list was walked, also after others have left.
func TestUrgentAsInAListThatIsWalked(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var q waitQueue
		var all []*Waiter
		leave := func(i int) {
			q.remove(all[i])
			all = append(all[:i], all[i+1:]...)
		}
		for step := range 1000 {
			now := start + time.Duration(step)*time.Millisecond
			q.standing = false
			if r.IntN(2) == 0 || len(all) == 0 {
				w := newWaiter(now, patient(now-start+time.Duration(1+r.IntN(200))*time.Millisecond))
				q.push(w)
				all = append(all, w)
				continue
			}
			if r.IntN(2) == 0 {
				leave(r.IntN(len(all)))
				continue
			}
			first := 0
			for i, w := range all {
				if w.due < all[first].due {
					first = i
				}
			}
			if got := q.pick(now); got.due != all[first].due {
				t.Fatalf("seed %d, step %d: due at %v, want %v", seed, step, got.due-start, all[first].due-start)
			}
			leave(first)
		}
	}
}

// Once they were passed over, waiters are not looked at again, and leave as the others do.
func TestPassedOver(t *testing.T) {
	var q waitQueue
	q.standing = true
	var all []*Waiter
	for i := range 100 {
		w := newWaiter(start, patient(time.Duration(100+i)*time.Millisecond))
		q.push(w)
		all = append(all, w)
	}
	q.standing = false
	if got := q.pick(start + time.Second); got != all[0] {
		t.Errorf("before the queue stands: picked one that is due in %v, want the most urgent", got.due-start)
	}
	q.standing = true
	newest := all[99]
	if got := q.pick(start + time.Second); got != newest {
		t.Errorf("picked one that is due in %v, want the newest", got.due-start)
	}
	if n := len(q.all.urgent.waiters); n != 0 {
		t.Errorf("%d are still looked at, want none", n)
	}
	for _, w := range all {
		q.remove(w)
	}
	if q.all.length != 0 {
		t.Errorf("%d wait, want none", q.all.length)
	}
}
