package limiter

import (
	"math"
	"time"
)

const (
	leastArm = 16 // completions that tell of a limit
	elastic  = .5 // part of a step of the limit that the answers follow: then there is no line

	leastPause = 2 * time.Second // until the next trial
	mostPause  = 80 * time.Second
)

// trials find out why answers are late, by steps of the limit.
type trials struct {
	on      bool
	limit   float64       // before the step
	before  window        // under that
	arm     window        // under the present one, once requests from before had left
	changed time.Duration // when the limit was moved

	base  float64       // latency in which there is known to be no line, s
	line  bool          // there is one
	hold  time.Duration // no trial before
	free  time.Duration // no answer is late before
	pause time.Duration // the next one
}

// judge is for answers that are late while the limit binds, and for a trial.
func (a *adaptiveLimit) judge(now time.Duration, w *window) {
	tr := &a.trials
	switch {
	case tr.on && a.limit > tr.limit && w.wasted(tr.base):
		a.lines(now, tr.before.rate(), w) // at once
		return
	case w.old():
		return
	case w.gap.Seconds() > .5+1.5*a.latency:
		tr.arm = window{} // a handler that stands still tells of no limit
		return
	}
	m := &tr.arm
	m.merge(w)
	switch {
	case tr.on:
		same := a.limit < tr.limit && m.n >= 2*leastArm && m.rate() >= tr.before.rate()
		if same || m.tells(math.Log(a.limit/tr.limit)) {
			a.verdict(now)
		}
	case now >= tr.hold:
		a.try(now)
	}
}

// try begins a trial, once enough is known of the present limit.
func (a *adaptiveLimit) try(now time.Duration) {
	tr := &a.trials
	m := &tr.arm
	to, why := 2*a.limit, "trial of more, as no more is asked for"
	if tr.line || !a.fits(m) {
		to, why = math.Max(a.limit/8, math.Min(a.limit/2, m.rate()*a.inTime())), "trial of less"
		if a.bounded(math.Round(to)) >= a.limit {
			to, why = 2*a.limit, "trial of more, as there is no less"
		}
	}
	plain := m.wasted(tr.base) || m.usual() > 2*a.target() || to > a.limit
	if m.n < leastArm || !plain && !m.tells(math.Log(to/a.limit)) {
		return
	}
	tr.on, tr.before, tr.limit = true, *m, a.limit
	a.move(now, to, why)
}

// verdict ends a trial.
func (a *adaptiveLimit) verdict(now time.Duration) {
	tr := &a.trials
	m, b := &tr.arm, &tr.before
	x, hold := math.Max(m.rate(), b.rate()), now+tr.pause
	step, follows := math.Log(m.level()/b.level()), math.Log(m.rate()/b.rate())
	tr.on = false
	switch {
	case m.level() < binding*a.limit && m.shed == 0:
		tr.hold = hold
		a.move(now, math.Max(a.limit, tr.limit), "nobody needs more")
	case math.Abs(step) > .1 && follows/step > elastic:
		tr.base, tr.free, tr.line = math.Min(m.usual(), b.usual()), hold, false
		a.move(now, math.Max(math.Max(tr.limit, a.limit), x*a.target()), "the answers follow the number: no line")
	default:
		a.lines(now, x, m)
		return
	}
	tr.pause = min(2*tr.pause, mostPause)
}

// lines is for a trial that found out that there is a line.
func (a *adaptiveLimit) lines(now time.Duration, x float64, m *window) {
	tr := &a.trials
	most := math.Min(a.limit, tr.limit)
	tr.on, tr.line = false, true
	a.calm.peak = 0 // there may have been a line then, too
	if a.limit < tr.limit && m.rate() < .62*x {
		tr.base, most = m.usual(), tr.limit // so few do not stand in a line
	}
	a.move(now, math.Max(most/8, math.Min(most, x*a.inTime())), "the answers do not follow the number: a line")
}

// tells reports whether the answers are so many that by chance they do not change by
// half as much as a step of the limit, which is given as a logarithm.
func (m *window) tells(step float64) bool {
	need := math.Max(leastArm, 50/(step*step))
	scatter := math.Max(1, m.squares/m.took*float64(m.n)/m.took-1)
	return m.seconds >= math.Max(.5, math.Min(10, m.latency())) &&
		float64(m.n) >= need && (float64(m.n) >= need*scatter || m.seconds >= 5)
}
