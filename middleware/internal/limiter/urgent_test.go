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

// Before the queue stands, one is not passed over for how long it has waited.
func TestNotPassedOver(t *testing.T) {
	var q waitQueue
	later, sooner := newWaiter(start, patient(200*time.Millisecond)), newWaiter(start, patient(100*time.Millisecond))
	q.push(later)
	q.push(sooner)
	for _, tt := range []struct {
		standing bool
		after    time.Duration
		want     *Waiter
	}{{false, 99 * time.Millisecond, sooner}, {true, 50 * time.Millisecond, sooner}, {true, 51 * time.Millisecond, later}} {
		q.standing = tt.standing
		if got := q.pick(start + tt.after); got != tt.want {
			t.Errorf("it stands: %v, after %v: picked one that is due in %v, want in %v", tt.standing, tt.after, got.due-start, tt.want.due-start)
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
