package guard

import "time"

// refusals is what is known of those of a service that sheds.
type refusals struct {
	inEpoch int
	share   float64       // of the last few responses
	row     int           // calls refused in a row
	at      time.Duration // when the newest narrowed the window

	engaged float64       // share of refusals when they engaged the limiter; 0: they did not
	from    int           // in flight at that time
	trial   trial         // of half as many in flight
	ignored time.Duration // until when refusals engage nothing
}

// A trial finds out whether refusals become fewer with less in flight.
type trial struct{ shed, all int }

const (
	leastShed  = 3                // refusals in an epoch that engage
	leastShare = 0.1              // of the responses, that is
	pardon     = 30 * time.Second // for refusals that do not depend on what is in flight
)

// shed takes note of a refusal that leaves inFlight: so many the service takes.
// If nothing but refusals comes they prove as much as timeouts.
func (l *Limiter) shed(a Attempt, now time.Duration, inFlight int) {
	r := &l.refusals
	r.inEpoch++
	r.share += (1 - r.share) / 16
	if a.First {
		r.row++
	}
	if r.row >= l.proof() {
		switch {
		case !l.Engaged():
			l.engage(now, float64(inFlight)/2)
		case l.succeeded < l.cutAt && now-l.cutAt >= epochOf(a.Scale.T):
			l.cut(now, l.window/2)
		}
	}
	if !l.Engaged() || now < r.ignored || l.acquitted(now) || l.window <= 1 {
		return
	}
	r.at = now
	least := 1.0
	if r.engaged > 0 {
		least = min(max(float64(r.from)/2, 1), l.window)
	}
	l.window = min(l.window, max(float64(inFlight), least))
}

// weigh engages at the end of an epoch in which enough was refused.
func (l *Limiter) weigh(now time.Duration, inFlight int) {
	r := &l.refusals
	if l.Engaged() || r.inEpoch < leastShed || l.epoch.responses == 0 || r.share < leastShare || inFlight < 2 || now < r.ignored {
		return
	}
	l.engage(now, float64(inFlight))
	r.engaged, r.from, r.at, r.trial = r.share, inFlight, now, trial{}
}

// served takes note of a success.
func (r *refusals) served(window float64) {
	if r.halved(window) {
		r.trial.all++
	}
	r.share -= r.share / 16
	r.row = 0
}

// halved reports whether the window is half of what was in flight when refusals
// engaged the limiter.
func (r *refusals) halved(window float64) bool {
	return r.engaged > 0 && window <= float64(r.from)/2+1
}

// acquitted counts a refusal with half as many in flight. If as many are refused
// as before, what is in flight is not the reason, and the limiter opens.
func (l *Limiter) acquitted(now time.Duration) bool {
	r := &l.refusals
	if !r.halved(l.window) {
		return false
	}
	r.trial.shed++
	r.trial.all++
	share := float64(r.trial.shed) / float64(r.trial.all)
	switch {
	case r.trial.shed >= 5 && share > 0.6*r.engaged:
		r.ignored = now + pardon
		l.open()
		return true
	case r.trial.all >= 25:
		if share >= leastShare {
			r.engaged = share
		}
		r.trial = trial{}
	}
	return false
}
