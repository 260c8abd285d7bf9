package middleware

import "math/bits"

// The lines that a waiter stands in, by which it finds its links.
const (
	inAll = iota
	inRank
)

// line is a list of waiters in the order of their arrival, from the middle of
// which one can be taken.
type line struct {
	oldest, newest *waiter
	length         int
}

type link struct{ next, before *waiter } // newer, older

func (l *line) push(w *waiter, in int) {
	if l.newest == nil {
		l.oldest = w
	} else {
		l.newest.links[in].next, w.links[in].before = w, l.newest
	}
	l.newest = w
	l.length++
}

func (l *line) remove(w *waiter, in int) {
	at := w.links[in]
	if at.before != nil {
		at.before.links[in].next = at.next
	} else {
		l.oldest = at.next
	}
	if at.next != nil {
		at.next.links[in].before = at.before
	} else {
		l.newest = at.before
	}
	w.links[in] = link{}
	l.length--
}

// ranks has a line for each rank, so that nobody has to walk along the queue
// to find the first or the last of them.
type ranks struct {
	lines  [MaxPriority + 1]line
	used   [(MaxPriority + 64) / 64]uint64 // bits of the lines that are not empty
	passes []pass
	passed uint64 // how many there were
}

// A pass lets one request go before all of lower ranks, which are outranked by
// it. Older ones are kept only of higher ranks: they fall from the first on.
type pass struct {
	rank   int
	number uint64
}

func (r *ranks) push(w *waiter) {
	r.lines[w.rank].push(w, inRank)
	r.used[w.rank/64] |= 1 << (w.rank % 64)
	w.arrived = r.passed
}

func (r *ranks) remove(w *waiter) {
	l := &r.lines[w.rank]
	l.remove(w, inRank)
	if l.length == 0 {
		r.used[w.rank/64] &^= 1 << (w.rank % 64)
	}
}

// pass returns the line of the highest rank, one of which is let past the
// others. There must be one.
func (r *ranks) pass() *line {
	i := len(r.used) - 1
	for r.used[i] == 0 {
		i--
	}
	rank := i*64 + bits.Len64(r.used[i]) - 1
	n := len(r.passes)
	for n > 0 && r.passes[n-1].rank <= rank {
		n--
	}
	r.passed++
	r.passes = append(r.passes[:n], pass{rank, r.passed})
	return &r.lines[rank]
}

// lowest returns the line of the lowest rank. There must be one.
func (r *ranks) lowest() *line {
	i := 0
	for r.used[i] == 0 {
		i++
	}
	return &r.lines[i*64+bits.TrailingZeros64(r.used[i])]
}

// outranked reports whether one of a higher rank was let past w.
func (r *ranks) outranked(w *waiter) bool {
	for i := len(r.passes) - 1; i >= 0; i-- {
		if p := r.passes[i]; p.rank > w.rank {
			return p.number > w.arrived
		}
	}
	return false
}
