package guard

import (
	"container/heap"
	"time"
)

// A Waiter is an attempt that waits for room.
type Waiter struct {
	Attempt
	Deadline time.Duration // after which it is of no use
	Resent   bool          // the service may have worked on an attempt of its call
	Unproved bool          // it may be sent only once a success came after the timeouts
	Ready    chan bool     // for the caller: whether it may be sent
	index    int           // -1: it does not wait
}

// Waiting is how many wait.
func (l *Limiter) Waiting() int { return len(l.queue) }

// First is the one that is next while successes come, or nil if nobody waits.
func (l *Limiter) First() *Waiter {
	if len(l.queue) == 0 {
		return nil
	}
	return l.queue[0]
}

// Wait adds one that found no room.
func (l *Limiter) Wait(w *Waiter) { heap.Push(&l.queue, w) }

// Leave takes out one that gives up. It returns false if Next was faster.
func (l *Limiter) Leave(w *Waiter) bool {
	if w.index < 0 {
		return false
	}
	heap.Remove(&l.queue, w.index)
	return true
}

// Late reports whether there is too little time left until the deadline for a
// response to come.
func (l *Limiter) Late(now, deadline time.Duration, s Scale) bool {
	return deadline-l.latency.expected(s.T) < now
}

// Next takes out one that waits, and says whether it may be sent or is too late
// for that. It returns nil if there is no room for another beside inFlight.
//
// Calls that were not begun come before retries. While responses come, the one with the
// earliest deadline is next, which serves most. While none come it is the one
// with the latest: what has little time left would find out nothing.
func (l *Limiter) Next(now time.Duration, inFlight int) (w *Waiter, admitted bool) {
	if len(l.queue) == 0 {
		return nil, false
	}
	w = l.queue[0]
	switch {
	case l.Late(now, w.Deadline, w.Scale):
		heap.Pop(&l.queue)
		return w, false
	case w.Unproved && l.Doubtful(), !l.Admit(now, w.Scale, inFlight):
		return nil, false
	}
	if !l.flows(now, w.Scale.T) {
		for _, other := range l.queue {
			if other.Deadline > w.Deadline && !(other.Unproved && l.Doubtful()) {
				w = other
			}
		}
	}
	heap.Remove(&l.queue, w.index)
	w.Start = now
	return w, true
}

// Wake is when there may be room again if nothing happens before.
func (l *Limiter) Wake(now time.Duration, s Scale) time.Duration {
	if l.refusals.until > now {
		return l.refusals.until
	}
	if l.probeAt > now {
		return l.probeAt
	}
	return now + epochOf(s.T)
}

// queue is a heap.
type queue []*Waiter

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	switch {
	case q[i].Resent != q[j].Resent:
		return q[j].Resent
	case q[i].Unproved != q[j].Unproved:
		return q[j].Unproved
	}
	return q[i].Deadline < q[j].Deadline
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *queue) Push(x any) {
	w := x.(*Waiter)
	w.index = len(*q)
	*q = append(*q, w)
}
func (q *queue) Pop() any {
	old := *q
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	w.index = -1
	return w
}
