package limiter

import (
	"math"
	"time"
)

const (
	leastArm = 16   // completions that tell of a limit
	enough   = 50   // completions times the square of a step: then half of it is 2.5 deviations of chance
	deepest  = 8.0  // times less is tried at once, at most
	gentlest = 2.0  // times less, at least
	elastic  = .5   // part of a step of the limit that the answers follow: then there is no line
	convoy   = .25  // part of a step down by which the answers grow: then a line costs work, and less is better
	fewer    = .62  // part of the answers, below which a lower limit leaves the handler idle
	catching = .8   // of the answers: where fewer are asked for, the handler catches up after a stall
	starving = .25  // part of the answers: of fewer, no more are waited for
	spare    = 1.25 // times the number that keeps the handler busy: shows if it can do more

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

	base   float64       // latency in which there is known to be no line, s
	line   bool          // there is one
	inTime float64       // latency that the limit then allows for, s
	hold   time.Duration // no trial before
	free   time.Duration // no answer is late before
	pause  time.Duration // the next one
}

// judge is for answers that are late while the limit binds, and for a trial.
func (a *adaptiveLimit) judge(now time.Duration, w *window) {
	tr := &a.trials
	switch {
	case tr.on && a.limit > tr.limit && w.wasted(tr.base) && w.rate() <= tr.before.rate()*math.Pow(a.limit/tr.limit, elastic):
		a.lines(now, tr.before.rate(), w) // at once
		return
	case w.old():
		return
	case w.gap.Seconds() > .5+1.5*a.latency:
		tr.arm = window{} // a handler that stands still tells of no limit
		return
	case !tr.on && w.asked < catching*w.all:
		tr.arm = window{} // the line goes by itself
		return
	}
	m := &tr.arm
	m.merge(w)
	switch {
	case tr.on:
		same := a.limit < tr.limit && m.n >= 2*leastArm && m.rate() >= tr.before.rate()
		if same || a.starved() || m.tells(math.Log(a.limit/tr.limit)) {
			a.verdict(now)
		}
	case now < tr.hold:
	case !a.late(now, m) && !tr.line:
		tr.arm = window{}
	case !a.late(now, m):
		if m.tells(math.Log(growth)) {
			a.begin(now, m, growth*a.limit, "trial of more, as nothing is late")
		}
	default:
		a.try(now)
	}
}

// starved reports whether a trial of less gives so few answers that there is no need to
// wait for more of them.
func (a *adaptiveLimit) starved() bool {
	tr := &a.trials
	expected := tr.before.rate() * tr.arm.seconds
	long := tr.arm.seconds >= math.Max(tr.before.usual(), trialTime.Seconds())
	return a.limit < tr.limit && long && expected >= 2*leastArm && tr.arm.all < starving*expected
}

// try begins a trial, once enough is known of the present limit.
func (a *adaptiveLimit) try(now time.Duration) {
	tr := &a.trials
	m := &tr.arm
	to, why := a.less(m), "trial of less"
	switch {
	case !tr.line && a.fits(m):
		to, why = 2*a.limit, "trial of more, as no more is asked for"
	case to >= a.limit:
		to, why = 2*a.limit, "trial of more, as there is no less"
	}
	plain := m.wasted(tr.base) || m.usual() > 2*a.target() || to > a.limit
	if m.n < leastArm || !plain && !m.tells(math.Log(to/a.limit)) {
		return
	}
	a.begin(now, m, to, why)
}

// verdict ends a trial.
func (a *adaptiveLimit) verdict(now time.Duration) {
	tr := &a.trials
	m, b := &tr.arm, &tr.before
	x := math.Max(m.rate(), b.rate())
	step, follows := math.Log(m.level()/b.level()), math.Log(m.rate()/b.rate())
	tr.on = false
	switch {
	case m.level() < binding*a.limit && m.shed == 0:
		tr.hold = a.later(now)
		a.move(now, math.Max(a.limit, tr.limit), "nobody needs more")
	case tr.line && a.limit > tr.limit && follows > elastic*step:
		tr.inTime = a.limit / x
		a.move(now, a.limit, "more at a time give more answers")
	case math.Abs(step) > .1 && follows/step > elastic && !tr.line:
		tr.base, tr.free = math.Min(m.usual(), b.usual()), a.later(now)
		a.move(now, math.Max(math.Max(tr.limit, a.limit), x*a.target()), "the answers follow the number: no line")
	default:
		a.lines(now, x, m)
	}
}

// later is when the next trial may be, after one that found nothing better.
func (a *adaptiveLimit) later(now time.Duration) time.Duration {
	at := now + a.trials.pause
	a.trials.pause = min(2*a.trials.pause, mostPause)
	return at
}

// lines is for a trial that found out that there is a line.
func (a *adaptiveLimit) lines(now time.Duration, x float64, m *window) {
	tr := &a.trials
	b := &tr.before
	more := math.Log(m.rate()/b.rate()) > convoy*math.Log(b.level()/m.level())
	tr.on, tr.line = false, true
	a.calm.peak = 0 // there may have been a line then, too
	if a.limit > tr.limit {
		if a.limit = tr.limit; !a.late(now, b) {
			tr.hold = a.later(now)
			a.move(now, a.limit, "more at a time give no more answers")
			return
		}
		m, more = b, true
	}
	if less := a.less(m); more && less < a.limit {
		a.begin(now, m, less, "trial of less")
		return
	}
	to := a.limit * x / m.rate()
	if m.rate() < fewer*x { // so few do not stand in a line
		tr.base = m.usual()
		tr.hold = a.later(now)
		to *= spare
	}
	to = math.Min(tr.limit, to)
	tr.inTime = to / x
	a.move(now, to, "the answers do not follow the number: a line")
}

// begin begins a trial of a limit, if it is another, after what m saw of the present one.
func (a *adaptiveLimit) begin(now time.Duration, m *window, to float64, why string) {
	tr := &a.trials
	if a.bounded(math.Round(to)) == a.limit {
		tr.arm = window{}
		return
	}
	tr.on, tr.before, tr.limit = true, *m, a.limit
	a.move(now, to, why)
}

// less is the limit to try where m tells of the present one: that which keeps a line
// short, but no lower than an eighth. What is lower is found out by another trial.
func (a *adaptiveLimit) less(m *window) float64 {
	return a.bounded(math.Round(math.Max(a.limit/deepest, math.Min(a.limit/gentlest, m.rate()*a.inTime()))))
}

// tells reports whether the answers are so many that by chance they do not change by
// half as much as a step of the limit, which is given as a logarithm.
func (m *window) tells(step float64) bool {
	need := math.Max(leastArm, enough/(step*step))
	scatter := math.Max(1, m.squares/m.took*float64(m.n)/m.took-1)
	return m.seconds >= math.Max(.5, math.Min(10, m.latency())) &&
		float64(m.n) >= need && (float64(m.n) >= need*scatter || m.seconds >= 5)
}
