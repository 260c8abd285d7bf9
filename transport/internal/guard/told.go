package guard

import "time"

// told is what is known of the queue of a service that says how long requests wait in it.
// Such a queue is no slow work, so the window can follow it.
type told struct {
	says  bool          // its queue engaged the limiter
	since time.Duration // what was sent before does not show what the present window does
	mean  float64       // wait of the last few that were sent since, ns
	n     int           // of them
	at    time.Duration // when the mean was last above half of the aim
}

const (
	standing = 4  // part of the scale: a longer wait in the queue engages
	aim      = 32 // part of the scale that the wait is kept at
	damping  = 2  // part of what is missing or too much is made up for in a round trip
	patient  = 2  // scales without a queue until each success makes room for one more
	busy     = .8 // part of the calls that a service answers that does as much as ever
	few      = 4  // successes that tell how long the queue is

	telling = time.Minute // for which a service that told of a queue would tell of one
)

// follow makes the window follow the queue that the service tells of, and reports whether
// it does. What is too much in the queue is taken off the window once per round trip, and
// what is missing is added with the successes of a round trip. That is FAST TCP (Wei, Jin,
// Low and Hegde, IEEE/ACM Transactions on Networking 14, 6), to which the service says the
// delay of its queue. If there is no queue for long, the service has become faster, and the
// window grows more quickly. What takes more than 3/4 of the scale behind the queue may
// stand in a line there, of which the service does not know.
func (l *Limiter) follow(a Attempt, now time.Duration, inFlight int) bool {
	t := &l.told
	if !t.says || a.Start < max(t.since, l.cutAt) {
		return t.says
	}
	t.n++
	t.mean += (float64(a.Queued) - t.mean) / float64(min(t.n, few))
	wanted := float64(a.Scale.T) / aim
	if t.mean > wanted/2 {
		t.at = now
	}
	switch step := (wanted - t.mean) / l.latency.recent / damping; {
	case step >= 0 && now-a.Start-a.Queued > a.Scale.T*3/4:
		return false
	case step >= 0:
		without := float64(now-max(t.at, l.cutAt)) / float64(patient*a.Scale.T)
		l.window += min(1, max(step, without))
	case t.n >= few || float64(t.n) >= l.window:
		l.window = min(l.window, max(1, float64(l.flight.working(inFlight)+1)*(1+step)))
		*t = told{says: true, since: now, at: now}
	}
	return true
}

// overflow engages if the successes of an epoch have waited long in the queue of the
// service, on average. The window is then what leaves no more than the wanted queue. A
// service that answers fewer calls than come may have become slower, so that it lets in too
// few for now. It finds out sooner if calls wait there.
func (l *Limiter) overflow(e epoch, s Scale, now, lasted time.Duration) {
	n := time.Duration(e.successes)
	if !l.Engaged() && e.queued/n >= s.T/standing && float64(e.successes) >= busy*l.Rate()*lasted.Seconds() {
		l.engage(now, float64(e.inFlight+1)*float64(e.took-e.queued+n*s.T/aim)/float64(e.took))
		l.told.says = true
	}
}

// toldNone reports whether a service that would tell of its queue tells of none, while the
// window does not follow that queue.
func (l *Limiter) toldNone(a Attempt, now time.Duration) bool {
	return l.toldAt > 0 && now-l.toldAt <= telling && !l.told.says && a.Queued < a.Scale.T/aim
}
