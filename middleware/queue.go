package middleware

import "time"

const (
	shortWait    = 50 * time.Millisecond // longest wait in a queue that stands, or that of the work if it takes longer
	leastPatient = 200 * time.Millisecond
	leastQueue   = 128
	mostQueue    = 8192
)

// queue holds the requests that wait for room in the handler. As long as it is
// drained from time to time it is first in, first out, and takes in a burst.
// One that has stood for an interval only adds its length to the latency of
// every request: from then on the newest is served first, whose client still
// waits for it, and the others are refused after a short wait. This is the
// controlled delay of Nichols and Jacobson with the adaptive LIFO of Maurer,
// "Fail at Scale" (ACM Queue 13, 8).
//
// The queue stands when, for an interval, the oldest request in it has always
// waited for long; that it is not empty means little, since at a high load it
// hardly ever is.
//
// It is not safe for concurrent use.
type queue struct {
	all      line          // in order of arrival
	ranks    *ranks        // the same by rank; nil: they have none
	since    time.Duration // when the oldest had last not waited for long
	interval time.Duration // after which it stands
	short    time.Duration // wait in a queue that stands
	standing bool          // until nobody was refused for an interval
	refused  time.Duration // when somebody last was
}

// A waiter is a request that waits. What it came to is sent once.
type waiter struct {
	links   [2]link // in all and in the line of its rank
	queued  bool
	rank    int
	arrived uint64        // after so many were let past others
	at      time.Duration // of its arrival
	waits   time.Duration // how long it may, if it is said
	said    bool
	expires time.Duration // when its deadline leaves no time for the work; 0 if it has none
	done    chan outcome  // has room for it
	probe   int
	weight  uint8
}

type outcome struct {
	reason ShedReason // ShedNone: it has a slot
	at     time.Duration
}

// watch brings up to date whether the queue stands. It must be called before
// anything is asked.
func (q *queue) watch(now time.Duration) {
	switch {
	case q.standing:
		if now-q.refused >= q.interval {
			q.standing, q.since = false, now
		}
	case q.all.length == 0 || now-q.all.oldest.at <= q.short:
		q.since = now
	case now-q.since >= q.interval:
		q.standing, q.refused = true, now
	}
}

// patience is how long a request may wait: as long as its client does, less what
// the work takes, or for as long as is of use to one that does not say.
func (q *queue) patience(w *waiter) time.Duration {
	if w.said {
		return w.waits
	}
	if q.standing {
		return q.short
	}
	return q.interval
}

func (q *queue) push(w *waiter) {
	q.all.push(w, inAll)
	if q.ranks != nil {
		q.ranks.push(w)
	}
	w.queued = true
}

func (q *queue) remove(w *waiter) {
	q.all.remove(w, inAll)
	if q.ranks != nil {
		q.ranks.remove(w)
	}
	w.queued = false
}

// resolve takes w out and tells it what it came to.
func (q *queue) resolve(w *waiter, now time.Duration, reason ShedReason) {
	q.remove(w)
	w.done <- outcome{reason: reason, at: now}
}

// prune refuses those that have waited for as long as is of use.
func (q *queue) prune(now time.Duration) (refused int) {
	q.watch(now)
	for w := q.all.oldest; w != nil && now-w.at > q.patience(w); w = q.all.oldest {
		q.resolve(w, now, q.reason(w, now))
		refused++
	}
	return refused
}

// reason is why w is refused.
func (q *queue) reason(w *waiter, now time.Duration) ShedReason {
	switch {
	case w.expires > 0 && now >= w.expires:
		return ShedExpired
	case q.ranks != nil && q.ranks.outranked(w):
		return ShedPriority
	}
	return ShedQueue
}

// pick returns the next to be admitted: the highest rank, and of that the
// newest if the queue stands, else the oldest.
func (q *queue) pick() *waiter {
	from := &q.all
	if q.ranks != nil {
		from = q.ranks.pass()
	}
	if q.standing {
		return from.newest
	}
	return from.oldest
}

// loser returns who makes room in a full queue for a request of the given
// rank: the newest of the lowest rank, if that is lower or, in a queue that
// stands, the one who has waited for longest. It is nil if that is the request
// itself.
func (q *queue) loser(rank int) (*waiter, ShedReason) {
	if q.ranks != nil {
		if least := q.ranks.lowest().newest; least.rank < rank {
			return least, ShedPriority
		}
	}
	if q.standing && q.all.oldest.rank <= rank {
		return q.all.oldest, ShedQueue
	}
	return nil, ShedQueue
}
