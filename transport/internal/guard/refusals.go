package guard

import "time"

// refusals is what is known about the refusals of a service that sheds.
type refusals struct {
	inEpoch int
	last    time.Duration // when the last one came
	share   float64       // of the last few responses
	row     int           // calls refused in a row
	at      time.Duration // when they last narrowed the window

	pause time.Duration // after a refusal, with a window of at most one
	until time.Duration // when the last one ends

	only     bool          // they engaged the limiter, and nothing sent since has timed out
	engaged  float64       // share of refusals when they engaged the limiter; 0: they did not
	from     float64       // the window at that time
	took     float64       // how long successes took then, ns
	trial    trial         // of half as many in flight
	depend   bool          // by a trial, refusals depend on what is in flight
	ignored  time.Duration // until when refusals engage nothing
	pardoned float64       // the share that is ignored
}

// A trial finds out whether fewer attempts in flight are of any use.
type trial struct {
	since     time.Duration // of attempts sent from then on; 0: not begun
	shed, all int
	took      time.Duration // the sum for those that succeeded
}

const (
	leastShed  = 3                // refusals in an epoch that engage
	leastShare = 0.1              // of the responses, that is
	narrowed   = 0.75             // of the window is left after a refusal
	pardon     = 30 * time.Second // for refusals that do not depend on what is in flight
)

// shed takes note of a refusal. The service takes about as many as are left in flight
// after it. If nothing but refusals comes, they prove as much as timeouts.
func (l *Limiter) shed(a Attempt, now time.Duration, inFlight int) {
	r := &l.refusals
	r.inEpoch++
	r.last = now
	r.share += (1 - r.share) / 16
	if a.First {
		r.row++
	}
	if r.row >= l.proof() {
		switch {
		case !l.Engaged():
			l.engage(now, float64(inFlight)/2)
			r.only = true
		case l.succeeded < l.cutAt && now-l.cutAt >= epochOf(a.Scale.T):
			l.cut(now, l.window/2)
		}
		l.rest(a, now)
		return
	}
	if !l.Engaged() || r.ignore(now) || l.acquitted(a, now) || a.Start < r.at {
		return
	}
	least := 1.0
	if !r.depend && r.engaged > 0 {
		least = max(1, r.from/2)
	}
	r.at = now
	if l.window <= 1 { // there is no smaller one
		l.rest(a, now)
		return
	}
	l.window = min(l.window, max(least, narrowed*min(l.window, float64(l.flight.working(inFlight)+1))))
}

// rest lets nothing be sent for a while. A service that refuses at once could be asked
// without end, however few attempts may be in flight.
func (l *Limiter) rest(a Attempt, now time.Duration) {
	r := &l.refusals
	r.pause = min(max(2*r.pause, time.Duration(l.latency.typical)), epochOf(a.Scale.T))
	r.until = now + l.about(r.pause)
}

// ignore reports whether refusals are as many as when they turned out not to depend
// on what is in flight.
func (r *refusals) ignore(now time.Duration) bool {
	return now < r.ignored && r.share < r.pardoned+0.25
}

// weigh engages at the end of an epoch in which enough was refused.
func (l *Limiter) weigh(now time.Duration, inFlight int) {
	r := &l.refusals
	if l.Engaged() || r.inEpoch < leastShed || l.responded < l.epoch.start || r.share < leastShare || inFlight < 2 || r.ignore(now) {
		return
	}
	l.engage(now, float64(inFlight))
	r.at, r.only = now, true
	r.engaged, r.from, r.took, r.trial, r.depend = r.share, l.window, l.latency.recent, trial{}, false
}

// served takes note of a success.
func (r *refusals) served(a Attempt, now, usual time.Duration, window float64) {
	if r.tries(a, now, window) {
		r.trial.all++
		r.trial.took += now - a.Start
	}
	r.share -= r.share / 16
	r.row = 0
	if r.pause = r.pause * 3 / 4; r.pause < usual {
		r.pause = 0
	}
}

// tries reports whether an attempt was sent with half of the window that there was when
// refusals engaged the limiter.
func (r *refusals) tries(a Attempt, now time.Duration, window float64) bool {
	if r.engaged == 0 || window > r.from/2+1 {
		return false
	}
	if r.trial.since == 0 {
		r.trial.since = now
	}
	return a.Start >= r.trial.since
}

// acquitted counts a refusal with half as many in flight. If about as many are refused
// as before and the rest takes as long, what is in flight is not the reason, and the
// window is what it was. What was not slow cannot become much faster: by chance it may seem
// to.
func (l *Limiter) acquitted(a Attempt, now time.Duration) bool {
	r := &l.refusals
	if !r.tries(a, now, l.window) {
		return false
	}
	t := &r.trial
	t.shed++
	t.all++
	if t.all < 25 {
		return false
	}
	share, took := float64(t.shed)/float64(t.all), float64(t.took)/float64(max(t.all-t.shed, 1))
	*t = trial{since: now}
	faster := took <= 0.75*r.took && l.Slow(time.Duration(r.took), a.Scale)
	if share > 0.4*r.engaged && !faster {
		r.ignored, r.pardoned = now+pardon, share
		r.engaged, r.pause, l.window = 0, 0, r.from
		return true
	}
	r.depend = true
	return false
}
