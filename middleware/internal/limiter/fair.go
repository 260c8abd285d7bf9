package limiter

import (
	"container/heap"
	"math"
	"time"
)

const (
	// fairMemory is after how long e times less counts of what a caller has used.
	fairMemory = 5 * time.Second
	// mostIdle bounds how many callers are remembered that have no request here.
	mostIdle = 4096
	// mostScale keeps the figures of callers far from what a float64 cannot hold.
	mostScale = 1e100
)

// fairness shares the slots between callers, among the requests of one priority.
// A free slot goes to the caller that holds the fewest slots, and among several such
// callers to the one that has used the least slot time lately. When the queue is full,
// the caller with the most requests in it loses one. So a caller who asks for less than
// its share is served at once, whatever the others ask for, and they get what it leaves.
//
// Only requests that have waited count as slots of a caller. While no request waits,
// there is nothing to share, and callers need not be known.
//
// It is not safe for concurrent use.
type fairness struct {
	callers map[uint64]*caller
	active  int // callers with a request in the handler or in the queue
	lines   map[int]*callerLines

	// What was used counts times scale, which grows with time. So the figures of
	// all callers fade alike, and their order stays as it is.
	scale float64
	at    time.Duration // of the scale
}

// A caller is what Config.Fair tells from the others, by the hash of its key.
type caller struct {
	inFlight int
	waiting  int
	used     float64 // slot time, ns, times the scale when it ended
	lines    []*callerLine
}

func newFairness() *fairness {
	return &fairness{callers: make(map[uint64]*caller), lines: make(map[int]*callerLines), scale: 1}
}

// A callerLine has the waiters of one caller with one priority.
type callerLine struct {
	waitList
	caller *caller
	places [2]int // in the heaps
}

// callerLines are those of one priority, in two orders.
type callerLines struct {
	byCaller map[*caller]*callerLine
	next     lineHeap // the next to be served is first
	longest  lineHeap
}

func newCallerLines() *callerLines {
	return &callerLines{
		byCaller: make(map[*caller]*callerLine),
		next: lineHeap{place: 0, before: func(a, b *callerLine) bool {
			if a.caller.inFlight != b.caller.inFlight {
				return a.caller.inFlight < b.caller.inFlight
			}
			return a.caller.used < b.caller.used
		}},
		longest: lineHeap{place: 1, before: func(a, b *callerLine) bool { return a.length > b.length }},
	}
}

func (f *fairness) push(w *Waiter) {
	c := f.of(w.caller)
	c.waiting++
	lines := f.lines[w.priority]
	if lines == nil {
		lines = newCallerLines()
		f.lines[w.priority] = lines
	}
	line := lines.byCaller[c]
	if line == nil {
		line = &callerLine{caller: c}
		lines.byCaller[c] = line
		c.lines = append(c.lines, line)
		heap.Push(&lines.next, line)
		heap.Push(&lines.longest, line)
	}
	line.push(w, inLine)
	heap.Fix(&lines.longest, line.places[1])
}

func (f *fairness) remove(w *Waiter) {
	c := f.callers[w.caller]
	lines := f.lines[w.priority]
	line := lines.byCaller[c]
	line.waitList.remove(w, inLine)
	if line.length > 0 {
		heap.Fix(&lines.longest, line.places[1])
	} else {
		heap.Remove(&lines.next, line.places[0])
		heap.Remove(&lines.longest, line.places[1])
		delete(lines.byCaller, c)
		c.lines = without(c.lines, line)
	}
	c.waiting--
	f.left(c)
}

func without(lines []*callerLine, line *callerLine) []*callerLine {
	for i, l := range lines {
		if l == line {
			lines[i] = lines[len(lines)-1]
			return lines[:len(lines)-1]
		}
	}
	return lines
}

// next returns the waiters of a priority of whom one is to be served. There must be
// some.
func (f *fairness) next(priority int) *waitList {
	return &f.lines[priority].next.lines[0].waitList
}

// loser returns the waiters of a priority of whom one is to be refused, to make room
// for a request of the given caller: those of the caller who has the most. It is nil
// if none has more than the given one; 0 is nobody.
func (f *fairness) loser(priority int, of uint64) *waitList {
	lines := f.lines[priority]
	longest := lines.longest.lines[0]
	if own := lines.byCaller[f.callers[of]]; own != nil && own.length >= longest.length {
		return nil
	}
	return &longest.waitList
}

// enter notes that a request that waited has a slot now.
func (f *fairness) enter(of uint64) {
	c := f.of(of)
	c.inFlight++
	f.reorder(c)
}

// leave notes that it has given the slot back, after some time.
func (f *fairness) leave(of uint64, now, took time.Duration) {
	f.fade(now)
	c := f.callers[of]
	c.inFlight--
	c.used += float64(took) * f.scale
	f.reorder(c)
	f.left(c)
}

// reorder puts the lines of a caller where they belong.
func (f *fairness) reorder(c *caller) {
	for _, line := range c.lines {
		heap.Fix(&f.lines[line.oldest.priority].next, line.places[0])
	}
}

// of returns a caller that is about to have a request here.
func (f *fairness) of(key uint64) *caller {
	c := f.callers[key]
	if c == nil {
		c = new(caller)
		f.callers[key] = c
	}
	if c.inFlight+c.waiting == 0 {
		f.active++
	}
	return c
}

// left is called when a caller has a request less.
func (f *fairness) left(c *caller) {
	if c.inFlight+c.waiting > 0 {
		return
	}
	f.active--
	if len(f.callers)-f.active <= mostIdle {
		return
	}
	// Those that have used least lose nothing by it. If that is not enough, any do.
	for _, most := range []float64{float64(time.Millisecond) * f.scale, math.Inf(1)} {
		for key, c := range f.callers {
			if c.inFlight+c.waiting == 0 && c.used <= most {
				delete(f.callers, key)
			}
			if len(f.callers)-f.active <= mostIdle/2 {
				return
			}
		}
	}
}

// fade lets what was used count less, as time passes.
func (f *fairness) fade(now time.Duration) {
	f.scale *= math.Exp(max(0, float64(now-f.at)) / float64(fairMemory))
	f.at = max(f.at, now)
	if f.scale < mostScale {
		return
	}
	for _, c := range f.callers {
		c.used /= f.scale // by one number for all, which leaves their order
	}
	f.scale = 1
}

// lineHeap has lines in order, as far as the first is concerned.
type lineHeap struct {
	lines  []*callerLine
	place  int // which of callerLine.places is that in this heap
	before func(a, b *callerLine) bool
}

func (h *lineHeap) Len() int           { return len(h.lines) }
func (h *lineHeap) Less(i, j int) bool { return h.before(h.lines[i], h.lines[j]) }

func (h *lineHeap) Swap(i, j int) {
	h.lines[i], h.lines[j] = h.lines[j], h.lines[i]
	h.lines[i].places[h.place], h.lines[j].places[h.place] = i, j
}

func (h *lineHeap) Push(line any) {
	l := line.(*callerLine)
	l.places[h.place] = len(h.lines)
	h.lines = append(h.lines, l)
}

func (h *lineHeap) Pop() any {
	last := len(h.lines) - 1
	l := h.lines[last]
	h.lines[last] = nil
	h.lines = h.lines[:last]
	return l
}

// loserTo returns the request that a full queue refuses to make room for w. With
// fairness it is one of the lowest priority, if that is lower than that of w, else
// one of a caller who has more requests in the queue: the oldest if the queue
// stands, else the newest. It is nil if w itself is to be refused.
func (q *waitQueue) loserTo(w *Waiter) (*Waiter, Reason) {
	if q.fair == nil {
		return q.loser(w.priority)
	}
	lowest, reason := &q.all, q.full()
	if q.priorities != nil {
		lowest = q.priorities.lowest()
	}
	priority := lowest.oldest.priority
	if priority > w.priority {
		return nil, ReasonQueue
	}
	of := w.caller
	if priority < w.priority {
		of, reason = 0, ReasonPriority
	}
	from := q.fair.loser(priority, of)
	switch {
	case from == nil:
		return nil, ReasonQueue
	case q.standing:
		return from.oldest, reason
	}
	return from.newest, reason
}

// entered notes that a request that has waited has a slot now.
func (q *waitQueue) entered(w *Waiter) {
	if q.fair != nil {
		q.fair.enter(w.caller)
	}
}

// Served notes, before Leave, that a request of a caller gives back the slot that it
// took from the queue, after some time.
func (c *Controller) Served(caller uint64, now, took time.Duration) {
	c.mu.Lock()
	c.queue.fair.leave(caller, now, took)
	c.mu.Unlock()
}

// Fair reports whether slots are shared between callers.
func (c *Controller) Fair() bool { return c.queue.fair != nil }
