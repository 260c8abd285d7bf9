package fleet

import "time"

// An event is something that happens in a world, at a time.
type event struct {
	at   time.Duration
	kind uint8
	m    *member
	gen  int // of a tick; attempts made, for a retry
	paid bool
	c    *call
	err  error
	ans  []Answer
}

const (
	arrival = iota
	again
	tick
	execute
	finish
	happen
	replace
)

// An eventHeap has the next event first.
type eventHeap []event

func (w *world) push(e event) { w.events.push(e) }

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if s[p].at <= s[i].at {
			return
		}
		s[p], s[i] = s[i], s[p]
		i = p
	}
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = event{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && s[c+1].at < s[c].at {
			c++
		}
		if s[i].at <= s[c].at {
			return top
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
