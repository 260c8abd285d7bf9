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
	doubled  = 2.0  // times more is tried where most are refused
	elastic  = .5   // part of a step of the limit that the answers follow: then there is no line
	surely   = .75  // part of it, with which a trial of more ends early
	surer    = 1.5  // standard errors of the counts, by which more at a time give fewer answers
	convoy   = .25  // part of a step down by which the answers grow: then a line costs work, and less is better
	fewer    = .62  // part of the answers, below which a lower limit leaves the handler idle
	catching = .8   // of the answers: where fewer are asked for, the handler catches up after a stall
	starving = .25  // part of the answers, below which a trial of less ends early
	sooner   = .8   // of the latency before: a trial of less in a line gives answers that soon
	clearly  = .6   // of the number in flight: by so few it shows whether answers come sooner
	spare    = 1.25 // times the number that keeps the handler busy: shows if it can do more
	settled  = .6   // part of the number in flight that Little's law makes of the answers

	longest    = 2 * time.Second // for which chance is a reason to go on with a trial
	leastPause = 2 * time.Second // until the next trial
	mostPause  = 80 * time.Second
)

// trials find out why answers are late, by steps of the limit.
type trials struct {
	on       bool
	limit    float64       // before the step
	before   window        // under that
	arm      window        // under the present one, once requests from before had left
	changed  time.Duration // when the limit was moved
	unfilled time.Duration // when it last did not bind
	span     float64       // s of windows that tell of those that have come since
	useful   float64       // answers in them that came in time

	base      float64       // latency in which there is known to be no line, s
	unsettled float64       // s for which the latency has been changing, see settles
	line      bool          // there is one
	costly    bool          // more at a time gave fewer answers
	inTime    float64       // latency that the limit then allows for, s
	hold      time.Duration // no trial before
	free      time.Duration // no answer is late before
	pause     time.Duration // from a trial that finds nothing better to the next one
}

// judge is for answers that are late while the limit binds, and for a trial.
func (a *adaptiveLimit) judge(now time.Duration, w *window) {
	tr := &a.trials
	a.saw(now, w)
	switch {
	case tr.on && a.refuted(now, w):
		a.lines(now, tr.before.rate(), w)
		return
	case !tr.on && !tr.line && a.late(now, w) && a.noLine(w):
		a.slow(now, w)
		return
	case w.old() && (tr.on || w.mostUseful()):
		return
	case !tr.on && w.asked < catching*w.all:
		tr.arm = window{} // the line goes by itself
		return
	case !tr.on && !tr.settles(w) && a.known(w):
		tr.arm = window{}
		return
	}
	m := &tr.arm
	m.merge(w)
	switch {
	case tr.on:
		if a.tried() {
			a.verdict(now)
		}
	case tr.costly && !a.late(now, m):
		if m.tells(math.Log(growth)) {
			a.begin(now, m, a.limit/growth, "trial of less, as more at a time gave fewer answers")
		}
	case now < tr.hold:
	case tr.line && a.mostRefused(a.useful) && !a.late(now, m):
		if m.n >= leastArm {
			a.begin(now, m, a.more()*a.limit, crowded)
		}
	case !a.late(now, m) && !tr.line && a.fits(m) && !a.succession.orderly(tr.base):
		a.try(now)
	case !a.late(now, m) && !tr.line:
		tr.arm = window{}
	case !a.late(now, m):
		if step := a.more(); m.tells(math.Log(step)) {
			a.begin(now, m, step*a.limit, "trial of more, as nothing is late")
		}
	default:
		a.try(now)
	}
}

// saw counts what has been answered since the limit was moved and binds. In the time that
// an answer takes, those come whose requests came before that. Clients that hold calls back
// send more only once they see that there is room.
func (a *adaptiveLimit) saw(now time.Duration, w *window) {
	tr := &a.trials
	if w.level() < binding*a.limit {
		tr.unfilled, tr.span, tr.useful = now, 0, 0
		return
	}
	if (now - max(tr.changed, tr.unfilled)).Seconds() >= w.seconds+tr.before.usual() {
		tr.span += w.seconds
		tr.useful += w.useful() * w.seconds
	}
}

const crowded = "trial of more, as most are refused"

// settles reports whether as many leave as come, so that a window tells of a limit. After
// a change of latency that is so once the first requests from then have left. But some
// may never leave, so it is not waited for longer than most of them take.
func (tr *trials) settles(w *window) bool {
	if w.rate()*w.latency() >= settled*w.level() {
		tr.unsettled = 0
		return true
	}
	waited := tr.unsettled
	tr.unsettled += w.seconds
	return waited >= math.Min(1, w.usual())
}

// more is how many times more a trial of more tries. Once one was in vain, it is gentle.
func (a *adaptiveLimit) more() float64 {
	if a.trials.pause > leastPause {
		return growth
	}
	return math.Max(growth, math.Min(doubled, a.asked/a.useful))
}

// refuted reports whether a trial of more has given no more answers in time, and many
// clients leave, so that nothing more is to be waited for.
func (a *adaptiveLimit) refuted(now time.Duration, w *window) bool {
	tr := &a.trials
	return a.limit > tr.limit && w.level() >= binding*a.limit && tr.span >= tr.before.usual()/2 &&
		w.wasted(tr.base) && !a.noSooner() && tr.useful <= tr.span*tr.before.useful()*math.Pow(a.limit/tr.limit, elastic)
}

// tried reports whether a trial has told what it can.
func (a *adaptiveLimit) tried() bool {
	tr := &a.trials
	m, b := &tr.arm, &tr.before
	if m.tells(math.Log(a.limit / tr.limit)) {
		return true
	}
	if a.limit < tr.limit && (a.starved() || m.n >= 2*leastArm && a.noSooner()) {
		return true
	}
	if a.limit > tr.limit && m.n >= 2*leastArm && m.seconds >= m.latency() && m.useful() >= b.useful()*math.Pow(a.limit/tr.limit, surely) {
		return true
	}
	return m.n >= leastArm && m.seconds >= math.Max(longest.Seconds(), 2*b.usual())
}

// starved reports whether a trial of less gives so few answers that there is no need to
// wait for more of them.
func (a *adaptiveLimit) starved() bool {
	tr := &a.trials
	expected := tr.before.rate() * tr.arm.seconds
	long := tr.arm.seconds >= math.Max(tr.before.usual(), trialTime.Seconds())
	return long && expected >= 2*leastArm && tr.arm.all < starving*expected
}

// noSooner reports whether fewer at a time get no sooner answers, by a trial of less or of
// more, although no more calls come than the handler is known to serve. In a line they would
// come sooner. The rate of the answers does not tell if the handler has changed meanwhile, or
// if no more is asked for. How long answers would have taken whose clients left is not known.
// So this compares the latency that three of four of those served are below, by the window
// that served the smaller share. Where fewer are in flight, they are at most six tenths of
// the others: latencies of nearly equal numbers differ by chance alone.
func (a *adaptiveLimit) noSooner() bool {
	tr := &a.trials
	few, many := &tr.arm, &tr.before
	if a.limit > tr.limit {
		few, many = many, few
	}
	if a.lined() || a.rare(&tr.arm) || !a.known(&tr.arm) || min(few.served(), many.served()) < leastArm/2 || few.level() > clearly*many.level() {
		return false
	}
	share := .75 * math.Min(few.timely(), many.timely())
	return few.times.quantile(share) > sooner*many.times.quantile(share)
}

// try begins a trial, once enough is known of the present limit.
func (a *adaptiveLimit) try(now time.Duration) {
	tr := &a.trials
	m := &tr.arm
	to, why := a.less(m), "trial of less"
	fits := a.fits(m) || !a.rare(m) && a.known(m) && !a.lined() && !a.succession.orderly(tr.base) && 4*m.gone < 3*(m.n-m.failed)
	switch fits = fits && !tr.line; {
	case fits && (m.gone > 0 || growth*a.limit < a.bearable()):
		to, why = 2*a.limit, "trial of more, as no more is asked for"
	case fits: // what comes is answered in time: a lower limit would only refuse some
		tr.arm = window{}
		return
	case to >= a.limit:
		to, why = 2*a.limit, "trial of more, as there is no less"
	}
	few := m.n < leastArm || m.served() < leastArm && m.n < 2*leastArm && m.seconds < 1
	plain := m.wasted(tr.base) || m.usual() > 2*a.target() || to > a.limit
	if few || !plain && !m.tells(math.Log(to/a.limit)) {
		return
	}
	a.begin(now, m, to, why)
}

// verdict ends a trial.
func (a *adaptiveLimit) verdict(now time.Duration) {
	tr := &a.trials
	m, b := &tr.arm, &tr.before
	x := math.Max(m.rate(), b.rate())
	step, follows := math.Log(m.level()/b.level()), math.Log(m.useful()/b.useful())
	if a.limit < tr.limit { // a line goes on to serve, if clients that have gone
		follows = math.Max(follows, math.Log(m.rate()/b.rate()))
	}
	noSooner := a.noSooner()
	tr.on = false
	switch {
	case m.level() < binding*a.limit && m.shed == 0:
		tr.hold = a.later(now)
		a.move(now, math.Max(a.limit, tr.limit), "nobody needs more")
	case tr.line && a.limit > tr.limit && follows > elastic*step:
		tr.inTime = a.limit / x
		if a.mostRefused(m.useful()) {
			a.begin(now, m, doubled*a.limit, crowded)
			return
		}
		a.move(now, a.limit, "more at a time give more answers")
	case math.Abs(step) > .1 && follows/step > elastic && !tr.line:
		a.serves(now, x, "the answers follow the number: no line")
	case noSooner:
		tr.line = false
		a.serves(now, x, "fewer at a time get no sooner answers: no line")
	default:
		a.lines(now, x, m)
	}
}

// serves is for a trial that found out that there is no line: as many may come in as are
// served before an answer is late.
func (a *adaptiveLimit) serves(now time.Duration, x float64, why string) {
	tr := &a.trials
	tr.base, tr.free = math.Min(tr.arm.usual(), tr.before.usual()), a.later(now)
	a.calm.lined = 0
	a.move(now, math.Max(math.Max(tr.limit, a.limit), x*a.target()), why)
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
	more := math.Log(m.useful()/b.useful()) > convoy*math.Log(b.level()/m.level())
	tr.on = false
	if a.limit < tr.limit && m.useful() >= b.useful() {
		x = m.rate() // there were more only because clients left without an answer
	}
	tr.line = true
	if a.limit < tr.limit && m.usual() <= sooner*b.usual() {
		a.calm.lined = now // sooner answers prove it
	}
	a.calm.peak = 0 // there may have been a line then, too
	if a.limit > tr.limit {
		gain := m.useful() / b.useful()
		tr.costly = gain <= asMuch && costs(m, b)
		if a.limit = tr.limit; !a.late(now, b) {
			tr.hold = a.later(now)
			if gain > asMuch {
				to := tr.limit * gain
				tr.inTime = to / m.rate()
				a.move(now, to, "some more at a time give some more answers")
				return
			}
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
	if few := m.rate() < fewer*x; few && b.usual() < slowed*m.usual() {
		// Nor did those before: perhaps more give more answers.
		tr.base, tr.inTime, a.limit = m.usual(), tr.limit/x, tr.limit
		a.begin(now, b, growth*a.limit, "trial of more, as answers follow the number")
		return
	} else if few { // so few do not stand in a line
		tr.base = m.usual()
		tr.hold = a.later(now)
		to *= spare
	}
	to = math.Min(tr.limit, to)
	tr.inTime = to / x
	a.move(now, to, "the answers do not follow the number: a line")
}

// costs reports whether more at a time surely gave fewer answers, as where each request costs
// the others work. By chance a count varies by its square root.
func costs(many, few *window) bool {
	loss := math.Log(few.rate() / many.rate())
	chance := math.Sqrt(1/float64(many.n) + 1/float64(few.n))
	return loss > convoy*math.Log(many.level()/few.level()) && loss > surer*chance
}

// slow is for a handler that takes longer, and surely not because of a line.
func (a *adaptiveLimit) slow(now time.Duration, w *window) {
	tr, limit := &a.trials, a.limit
	tr.base, tr.free = w.usual(), a.later(now)
	a.calm.lined = 0
	if a.calm.bound {
		limit = math.Max(2*limit, w.rate()*a.target())
	}
	a.move(now, limit, "as late where few meet as where many do: no line")
}

// begin begins a trial of a limit, if it is another, after what m saw of the present one.
func (a *adaptiveLimit) begin(now time.Duration, m *window, to float64, why string) {
	tr := &a.trials
	tr.costly = false
	if a.bounded(math.Round(to)) == a.limit {
		tr.arm = window{}
		return
	}
	tr.on, tr.before, tr.limit = true, *m, a.limit
	a.move(now, to, why)
}

// less is the limit to try where m tells of the present one: that which keeps a line
// short, but not much lower where many get an answer in time, who would be refused if
// there is no line. What is lower is found out by another trial.
func (a *adaptiveLimit) less(m *window) float64 {
	depth := math.Max(gentlest, math.Min(deepest, m.asked/m.seconds/m.useful()))
	return a.bounded(math.Round(math.Max(a.limit/depth, math.Min(a.limit/gentlest, m.rate()*a.inTime()))))
}

// tells reports whether the answers are so many that by chance they do not change by
// half as much as a step of the limit, which is given as a logarithm.
func (m *window) tells(step float64) bool {
	need := math.Max(leastArm, enough/(step*step))
	scatter := math.Max(1, m.squares/m.took*float64(m.n)/m.took-1)
	return m.seconds >= math.Max(.5, math.Min(10, m.latency())) &&
		float64(m.n) >= need && (float64(m.n) >= need*scatter || m.seconds >= 5)
}
