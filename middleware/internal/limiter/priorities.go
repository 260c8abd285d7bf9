package limiter

import "math/bits"

// The lists that a waiter is in, by which it finds its links.
const (
	inAll = iota
	inPriority
	inLine // of its caller
)

// waitList is a list of waiters in the order of their arrival. Any of them can be
// taken out.
type waitList struct {
	oldest, newest *Waiter
	length         int
	urgent         urgent
}

// A link is the place of a waiter in a list.
type link struct {
	next, before *Waiter // newer, older
	place        int     // in waitList.urgent, from 1; 0: it is not there
}

func (l *waitList) push(w *Waiter, in int) {
	if l.newest == nil {
		l.oldest = w
	} else {
		l.newest.links[in].next, w.links[in].before = w, l.newest
	}
	l.newest = w
	l.length++
	l.urgent.in = in
	l.urgent.add(w)
}

func (l *waitList) remove(w *Waiter, in int) {
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
	l.urgent.remove(at.place)
	w.links[in] = link{}
	l.length--
}

// priorities has a list of waiters for each priority, so that the first and the
// last of them are found without a walk along the queue.
type priorities struct {
	lists  []waitList
	used   []uint64 // bits of the lists that are not empty
	passes []pass
	passed uint64 // how many passes there were
}

func newPriorities(n int) *priorities {
	return &priorities{lists: make([]waitList, n), used: make([]uint64, (n+63)/64)}
}

// A pass lets one request go before all of lower priorities. An older pass is kept
// only if its priority is higher, so priorities fall from the first pass to the last.
type pass struct {
	priority int
	number   uint64
}

func (p *priorities) push(w *Waiter) {
	p.lists[w.priority].push(w, inPriority)
	p.used[w.priority/64] |= 1 << (w.priority % 64)
	w.arrived = p.passed
}

func (p *priorities) remove(w *Waiter) {
	l := &p.lists[w.priority]
	l.remove(w, inPriority)
	if l.length == 0 {
		p.used[w.priority/64] &^= 1 << (w.priority % 64)
	}
}

// pass returns the list of the highest priority and notes that one of its
// requests goes before the others. There must be one.
func (p *priorities) pass() *waitList {
	i := len(p.used) - 1
	for p.used[i] == 0 {
		i--
	}
	highest := i*64 + bits.Len64(p.used[i]) - 1
	n := len(p.passes)
	for n > 0 && p.passes[n-1].priority <= highest {
		n--
	}
	p.passed++
	p.passes = append(p.passes[:n], pass{highest, p.passed})
	return &p.lists[highest]
}

// lowest returns the list of the lowest priority. There must be one.
func (p *priorities) lowest() *waitList {
	i := 0
	for p.used[i] == 0 {
		i++
	}
	return &p.lists[i*64+bits.TrailingZeros64(p.used[i])]
}

// outranked reports whether a request of a higher priority went before w.
func (p *priorities) outranked(w *Waiter) bool {
	for i := len(p.passes) - 1; i >= 0; i-- {
		if pass := p.passes[i]; pass.priority > w.priority {
			return pass.number > w.arrived
		}
	}
	return false
}
