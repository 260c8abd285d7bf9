package limiter

import (
	"math"
	"time"
)

const (
	leastArm = 32  // completions by which a step is judged, if it is a large one,
	mostArm  = 300 // if it is a small one,
	downArm  = 100 // and if it is one to less
	armTime  = 2 * time.Second
	oldShare = .2 // of requests from before the step, in a window that tells of it

	same    = .75 // part of the throughput above which it has not fallen
	linear  = .62 // and below which it has fallen as much as the limit
	elastic = .45 // of the relative step up: the throughput follows the limit
	flat    = 1.15

	leastPause = 5 * time.Second // between trials that ended with nothing new
	mostPause  = 80 * time.Second
)

// trials find out by steps of the limit whether more or fewer in flight give as
// many useful answers.
type trials struct {
	trial
	arm      arm
	changed  time.Duration           // when the limit was moved, or began to bind
	vain     struct{ down, up bool } // what was tried in vain, since something changed
	hold     time.Duration           // none before
	pause    time.Duration           // after the next ones in vain
	round    time.Duration           // when the first since the last pause began; 0: none did
	helpless bool                    // less helps nobody: a route hangs
	heldX    float64                 // useful answers per second by the last one
	heldS    float64                 // slowness then
}

// A trial is a step of the limit that is not judged yet.
type trial struct {
	on, down bool
	from     float64 // limit
	n        float64 // in flight under that
	x        float64 // useful answers per second
	all      float64 // answers per second, of use or not
	others   bool    // other routes were as quick as ever
	latency  float64 // ns
}

// An arm is what was seen under one limit, once requests from before had left.
type arm struct {
	tally
	from    time.Duration // windows that began earlier do not count
	seconds float64
	load    float64 // in flight, times seconds
	asked   float64 // requests that came, as far as is known
	short   bool    // requests were refused, or waited
	others  bool    // other routes are as quick as ever
}

// forget is for a handler that is calm again.
func (tr *trials) forget() {
	tr.hold, tr.pause, tr.heldX, tr.round = 0, leastPause, 0, 0
	tr.vain.down, tr.vain.up, tr.helpless = false, false, false
}

// gather adds a window to what is known of the limit.
func (tr *trials) gather(now time.Duration, s float64, w window, t tally, inFlight float64, stall time.Duration, others bool) {
	m := &tr.arm
	switch {
	case now-time.Duration(s*1e9) < m.from || t.old():
		return
	case w.gap > stall:
		*m = arm{from: now} // a handler that stands still tells of no limit
		return
	}
	m.merge(t)
	m.seconds += s
	m.load += inFlight * s
	m.asked += w.all + float64(w.shed)
	m.short = m.short || w.short()
	m.others = others
}

// armed reports whether enough is known of the limit. An arm lasts as long as a
// request takes, or requests that come and go in waves would mislead it.
func (tr *trials) armed(limit, slowness float64) bool {
	m, need := &tr.arm, downArm
	switch {
	case !tr.on && slowness > 2*queueing:
		need = leastArm // it is plain what to try
	case tr.on && !tr.down:
		// So many that twice the scatter is less than what decides.
		step := math.Min(1, limit/tr.from-1)
		need = int(math.Max(leastArm, math.Min(mostArm, 8/(elastic*elastic*step*step))))
	}
	switch expected := tr.x * m.seconds; {
	case m.seconds == 0 || m.seconds < math.Min(10, m.took/math.Max(1, float64(m.n))/1e9):
		return false
	case tr.on && tr.down && expected >= 40 && m.good < .65*expected:
		return true // fewer beyond doubt
	}
	return m.n >= need || m.seconds >= armTime.Seconds() && (m.n >= leastArm || tr.on && tr.others && m.good == 0)
}

// verdict ends a trial.
func (a *adaptiveLimit) verdict(now time.Duration) {
	tr := &a.trials
	m, t := tr.arm, tr.trial
	x, n := m.good/m.seconds, m.load/m.seconds
	tr.on = false
	tr.heldX, tr.heldS = x, a.slowness
	slower := m.latency() >= flat*t.latency
	switch {
	case t.down && t.others && m.wasted() && x <= flat*t.x:
		// One route hangs: it is not load that keeps its clients from an answer.
		tr.vain.down, tr.helpless = true, true
		a.move(now, t.from, "less in flight helps nobody")
	case t.down && x >= same*t.x:
		a.routes.settle(false)
		tr.vain.down, tr.vain.up, tr.helpless = false, true, false
		a.move(now, a.limit, "as many answers with less in flight")
	case t.down && float64(m.n)/m.seconds < linear*t.all && !m.wasted():
		// As many fewer as there were fewer in flight: none waited for another.
		a.routes.settle(true)
		a.calm.refN = 0
		tr.vain.down = true
		tr.trial = t
		tr.down = false
		a.move(now, 2*t.from, "trial of more, as answers were fewer with less in flight")
	case t.down:
		tr.vain.down = true
		tr.heldX = t.x
		a.move(now, t.from, "fewer answers with less in flight")
	case n < pressing*a.limit && !m.short:
		tr.vain.down, tr.vain.up = false, true
		a.move(now, a.limit, "nobody needs more")
	case x/math.Max(t.x, 1e-9)-1 >= elastic*(n/t.n-1):
		if !slower {
			a.routes.settle(true)
			a.calm.refN = 0
			a.calm.peak = math.Max(a.calm.peak, n)
		}
		tr.vain.down, tr.vain.up = !slower, false
		a.move(now, a.limit, "more answers with more in flight")
	default:
		tr.vain.up = true
		tr.heldX = math.Max(x, t.x)
		a.move(now, t.from, "no more answers with more in flight")
	}
}

// next begins a trial, if one is due.
func (a *adaptiveLimit) next(now time.Duration) {
	tr := &a.trials
	m := tr.arm
	x, slowness, wasted := m.good/m.seconds, m.slowness(), m.wasted()
	switch {
	case tr.vain.down && tr.vain.up:
		// Neither way is better. Look again after a while.
		tr.hold = now + max(min(tr.pause, mostPause), 10*(now-tr.round))
		tr.pause = min(2*tr.pause, mostPause)
		tr.round, tr.heldX, tr.heldS = 0, x, slowness
		tr.vain.down, tr.vain.up = false, false
		return
	case now < tr.hold && !wasted:
		if x > 1.4*tr.heldX || x < .6*tr.heldX || slowness > 2*tr.heldS {
			tr.hold, tr.pause = 0, leastPause // it is another handler, or another load
		}
		return
	}
	to, why := a.step(now, slowness, wasted)
	switch to = a.bounded(math.Round(to)); {
	case math.Abs(to-a.limit) < 1:
		tr.vain.up = tr.vain.up || tr.vain.down
		tr.vain.down = true
		return
	case to > a.limit && m.n-m.gone < downArm && m.seconds < armTime.Seconds():
		return // a limit binds when the throughput is low by chance, which then seems to gain
	}
	if tr.round == 0 {
		tr.round = now
	}
	tr.trial = trial{
		on: true, down: to < a.limit, from: a.limit, n: m.load / m.seconds, x: x,
		all: float64(m.n) / m.seconds, latency: m.latency(), others: m.others,
	}
	a.move(now, to, why)
}

// step chooses the limit to try.
func (a *adaptiveLimit) step(now time.Duration, slowness float64, wasted bool) (float64, string) {
	tr := &a.trials
	m := tr.arm
	// No more is asked for than when it was calm, so it may be that each request
	// takes longer.
	slower := a.calm.proved && m.asked/m.seconds <= 1.25*a.calm.refX
	mild := m.gone == 0 || 2*m.latency()/1e9 < math.Max(harmless, a.patience.harmless())
	switch {
	case slower && mild && !wasted && !tr.vain.up:
		return 2 * a.limit, "trial of more, as no more is asked for"
	case (m.short || wasted) && !tr.vain.down:
		if slowness <= queueing && !wasted {
			return a.limit, ""
		}
		least := .5
		switch {
		case m.good == 0:
			least = 0 // there is nothing to lose
		case tr.round == 0 || !a.calm.proved:
			least = .25
		}
		return a.limit * math.Max(least, math.Min(.5, 2/slowness)), "trial of less"
	case !wasted && !tr.vain.up:
		return growth * a.limit, "trial of more"
	}
	return a.limit, ""
}
