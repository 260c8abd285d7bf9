package limiter

import (
	"container/heap"
	"time"
)

// urgent has those waiters of a list whose clients say when the call is over, as a heap:
// the one whose call is over first is first.
type urgent struct {
	in      int // of the lists of a waiter
	waiters []*Waiter
}

// first is the most urgent; nil if no waiter is left that says when its call is over. While
// the queue stands, more come than can be served. Those that have waited for half of the
// time that they may are then passed over for good: were each served at the last moment,
// all would be answered late.
func (u *urgent) first(now time.Duration, standing bool) *Waiter {
	for len(u.waiters) > 0 {
		w := u.waiters[0]
		if !standing || now-w.at <= w.waits/2 {
			return w
		}
		heap.Pop(u)
	}
	return nil
}

func (u *urgent) add(w *Waiter) {
	if w.due > 0 {
		heap.Push(u, w)
	}
}

// remove takes out a waiter that is at a place; 0: it is not here.
func (u *urgent) remove(place int) {
	if place > 0 {
		heap.Remove(u, place-1)
	}
}

func (u *urgent) place(i int) *int { return &u.waiters[i].links[u.in].place }

// Len implements [heap.Interface], as the methods below do.
func (u *urgent) Len() int { return len(u.waiters) }

func (u *urgent) Less(i, j int) bool { return u.waiters[i].due < u.waiters[j].due }

func (u *urgent) Swap(i, j int) {
	u.waiters[i], u.waiters[j] = u.waiters[j], u.waiters[i]
	*u.place(i), *u.place(j) = i+1, j+1
}

func (u *urgent) Push(x any) {
	u.waiters = append(u.waiters, x.(*Waiter))
	last := len(u.waiters) - 1
	*u.place(last) = last + 1
}

func (u *urgent) Pop() any {
	last := len(u.waiters) - 1
	w := u.waiters[last]
	*u.place(last) = 0
	u.waiters[last] = nil
	u.waiters = u.waiters[:last]
	return w
}
