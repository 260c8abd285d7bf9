package limiter

import "time"

const (
	shortWait    = 50 * time.Millisecond // longest wait in a standing queue, unless the work takes longer
	leastSpare   = 10 * time.Millisecond
	leastPatient = 200 * time.Millisecond
	leastQueue   = 128
	mostQueue    = 8192
)

// waitQueue holds the requests that wait for room. It serves the oldest first as
// long as it drains from time to time, so it absorbs a burst. A queue that has
// stood for an interval only adds its length to the latency of every request.
// From then on it serves the newest first, whose client still waits, and refuses
// the others after a short wait. This is the controlled delay of Nichols and
// Jacobson with the adaptive LIFO of Maurer, "Fail at Scale" (ACM Queue 13, 8).
//
// Requests that say when their call is over change places with each other, so that the
// one whose call is over first goes first: see urgent. Clients that hold calls back while
// a service is overloaded send them in that order, and those of one client are not more
// urgent than those of another because it has sent fewer.
//
// The queue stands when its oldest request has waited for long throughout an
// interval. That it is not empty means little: at a high load it hardly ever is.
//
// It is not safe for concurrent use.
type waitQueue struct {
	all        waitList      // in order of arrival
	priorities *priorities   // the same by priority; nil: they have none
	fair       *fairness     // the same by caller; nil: callers are not told apart
	since      time.Duration // when the oldest had last not waited for long
	interval   time.Duration // after which it stands
	short      time.Duration // longest wait in a standing queue
	spare      time.Duration // that clients who do not say how long they wait leave for it; 0: not known
	standing   bool          // it ends after an interval without a refusal
	refused    time.Duration // when a request was last refused
	memory     bool          // the limit is low because there is little memory
}

// A Request is what the queue has to know of a request.
type Request struct {
	Priority    int           // from 0 up to one below Config.Priorities
	Patience    time.Duration // how long its client waits, if HasPatience
	HasPatience bool
	Expires     time.Duration // its deadline; 0: none
	Due         time.Duration // when its call is over, as its client says; 0: it does not
	Route       string        // as far as it is known; "": it is not
	Retry       bool          // it is not the first attempt
	Returns     bool          // its client may come back, and is known again then
	Caller      uint64        // whose it is, if Config.Fair
}

// A Waiter is a request in the queue. It gets one Decision.
type Waiter struct {
	links    [3]link // in all, in the list of its priority, and in that of its caller
	queued   bool
	priority int
	caller   uint64
	arrived  uint64        // after so many passes
	at       time.Duration // of its arrival
	waits    time.Duration // how long it may, if said
	said     bool
	due      time.Duration // when its call is over, if said
	expires  time.Duration // when its deadline leaves no time for the work; 0: it has none
	done     chan Decision // has room for it
}

func newWaiter(now time.Duration, r Request) *Waiter {
	return &Waiter{
		at: now, priority: r.Priority, caller: r.Caller, waits: r.Patience, said: r.HasPatience, due: r.Due, expires: r.Expires,
	}
}

// admit tells the decision to one that never queues.
func (w *Waiter) admit(d Decision) {
	w.done = make(chan Decision, 1)
	w.done <- d
}

// Done delivers what became of the request.
func (w *Waiter) Done() <-chan Decision { return w.done }

// watch updates whether the queue stands. Call it before asking the queue
// anything.
func (q *waitQueue) watch(now time.Duration) {
	switch {
	case q.standing:
		if now-q.refused >= q.interval {
			q.standing, q.since = false, now
		}
	case q.all.length == 0 || now-q.all.oldest.at <= q.long(q.all.oldest):
		q.since = now
	case now-q.since >= q.interval:
		q.standing, q.refused = true, now
	}
}

// long is the wait above which w has waited for long: short, or half of the time that
// its client leaves for the wait if that is less. Otherwise a queue of impatient clients
// would never stand, and would serve each of them so late that half of the answers are
// of no use.
func (q *waitQueue) long(w *Waiter) time.Duration {
	if w.said {
		return min(q.short, w.waits/2)
	}
	return q.short
}

// patience is how long a request may wait: as long as its client waits, less the
// time for the work. Where it does not say that, until when others left, or a default.
func (q *waitQueue) patience(w *Waiter) time.Duration {
	if w.said {
		return w.waits
	}
	wait := q.interval
	if q.standing {
		wait = q.short
	}
	if q.spare > 0 {
		return min(wait, q.spare)
	}
	return wait
}

func (q *waitQueue) push(w *Waiter) {
	w.done = make(chan Decision, 1)
	q.all.push(w, inAll)
	if q.priorities != nil {
		q.priorities.push(w)
	}
	if q.fair != nil {
		q.fair.push(w)
	}
	w.queued = true
}

func (q *waitQueue) remove(w *Waiter) {
	q.all.remove(w, inAll)
	if q.priorities != nil {
		q.priorities.remove(w)
	}
	if q.fair != nil {
		q.fair.remove(w)
	}
	w.queued = false
}

// resolve takes w out of the queue and tells it the decision.
func (q *waitQueue) resolve(w *Waiter, d Decision) {
	q.remove(w)
	w.done <- d
}

// prune refuses the oldest requests that have waited too long.
func (q *waitQueue) prune(now time.Duration) (refused int) {
	q.watch(now)
	for w := q.all.oldest; w != nil && now-w.at > q.patience(w); w = q.all.oldest {
		q.resolve(w, Decision{Reason: q.reason(w, now), At: now})
		refused++
	}
	return refused
}

// reason is why w is refused once it has waited too long.
func (q *waitQueue) reason(w *Waiter, now time.Duration) Reason {
	switch {
	case w.expires > 0 && now >= w.expires:
		return ReasonExpired
	case q.priorities != nil && q.priorities.outranked(w):
		return ReasonPriority
	}
	return q.full()
}

// full is the reason for a refusal that has no other reason.
func (q *waitQueue) full() Reason {
	if q.memory {
		return ReasonMemory
	}
	return ReasonQueue
}

// pick returns the next request to be admitted: of the highest priority, then of
// the caller whose turn it is, the newest if the queue stands, else the oldest. If it
// says when its call is over, the most urgent of those that say so takes its turn.
func (q *waitQueue) pick(now time.Duration) *Waiter {
	from := &q.all
	if q.priorities != nil {
		from = q.priorities.pass()
	}
	if q.fair != nil {
		from = q.fair.next(from.oldest.priority)
	}
	turn := from.oldest
	if q.standing {
		turn = from.newest
	}
	if turn.due == 0 {
		return turn
	}
	if first := from.urgent.first(now, q.standing); first != nil {
		return first
	}
	return turn
}

// loser returns the request that a full queue refuses to make room for one of the
// given priority: the newest of the lowest priority, if that is lower, else the
// oldest of all if the queue stands. It is nil if the new request is to be refused.
func (q *waitQueue) loser(priority int) (*Waiter, Reason) {
	if q.priorities != nil {
		if least := q.priorities.lowest().newest; least.priority < priority {
			return least, ReasonPriority
		}
	}
	if q.standing && q.all.oldest.priority <= priority {
		return q.all.oldest, ReasonQueue
	}
	return nil, ReasonQueue
}

// room is how long the queue may get: the number of requests served in twice the
// longest wait. It bounds memory, not latency.
func (c *Controller) room() int {
	served := 2 * c.adaptive.throughput() * c.queue.interval.Seconds()
	if served == 0 {
		return mostQueue
	}
	return int(min(max(served, leastQueue), mostQueue))
}
