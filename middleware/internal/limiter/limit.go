package limiter

import (
	"math"
	"time"
)

const (
	startLimit = 64   // before anything is known
	startMost  = 512  // to which that doubles if some are answered: see short
	leastCalm  = 16   // of a handler that is not loaded, at least: at a few calls a second chance alone makes peaks
	headroom   = 2.5  // over the most that was in flight while nothing was late
	filling    = .7   // of the target: up to there nothing is late, for sure
	growth     = 1.5  // of a limit that binds while nothing is late
	worthwhile = 1.2  // growth of a limit in a line, unless a trial of more was in vain
	binding    = .85  // mean in flight over a limit that binds
	steadily   = .2   // of the number in flight, by which it may change and yet be even
	creeping   = .15  // of the number in flight, by which it may grow while answers are late and yet be even
	asMuch     = 1.1  // times what was served while nothing was late is no more than that,
	moment     = 1.25 // and in a single window so many times
	mostly     = .6   // of those that come get an answer in time: a lower limit would not give more
	shortLine  = .35  // of the target: a line that is left by a trial of less
	tight      = 1.3  // times the most in flight: a limit that comes down, so that it binds if that rises
	settling   = .05  // part of the way to a quicker answer that the latency without a line goes with each window
	backlog    = 1.0  // seconds until the last one that was told comes back, above which those that come back are more calls
	aftermath  = 10.0 // seconds for which a line may come back
	crowdedOut = .5   // of the requests that come are over: if they are fewer just after the first ones, those were in a line
	young      = 10   // windows in which next to nothing is known
	remembered = 60.0 // seconds for which the throughput without load is,
	peaks      = 30.0 // and the peaks
	sinking    = 2.5  // seconds in which a limit that is too high sinks to a third
)

// adaptiveLimit finds how many requests a handler can serve at a time. It judges
// whether answers are late, for their clients: see patience. As long as none is,
// there is nothing to judge. A limit that binds then grows, and one that does not is
// far above what is in flight.
//
// Late answers have one of two causes. Requests may stand in a line in the handler:
// then fewer of them are answered as often, and sooner. Or the handler takes that
// long: then fewer of them are answered less often. A trial of another limit tells.
// In the first case the lower limit stays, as long as a trial of more does not give
// more answers. In the second case the answers are not late, after all.
//
// It is not safe for concurrent use.
type adaptiveLimit struct {
	limit    float64
	min, max float64
	fixed    bool // the limit is given; only latency and throughput are measured
	why      string
	routes   routes
	sched    *schedLimit // nil: the scheduler is not watched

	window  window
	windows int           // closed so far
	last    time.Duration // when a request last completed
	silence silence

	usual    float64 // latency that three of four are below in the last window, s
	latency  float64 // mean, averaged over some windows, s
	rate     float64 // completions per second in the last window; 0 if requests were refused
	work     float64 // completions per second, averaged over 1 s
	asked    float64 // requests that came per second, averaged over 1 s
	owed     float64 // seconds until the last client that was told to come back has its slot
	useful   float64 // of them, those that were answered while the client waited, averaged over 1 s
	baseline float64 // what a request takes where the line is short, ns

	succession succession
	met        met
	calm       calm
	patience   patience
	trials     trials
}

// calm is what is known from the time in which nothing is late.
type calm struct {
	now   bool          // it is so in the last window
	most  float64       // completions per second, fading
	peak  float64       // in flight, fading over 30 s
	level float64       // in flight, averaged over a second and more
	trend float64       // in flight, averaged over 5 s and more
	even  float64       // seconds since it last changed
	bound bool          // the limit did in the last window
	lined time.Duration // when there last was a line in the handler; 0: never
}

// An Outcome is what became of a request in the handler.
type Outcome uint8

const (
	Served Outcome = iota // its client got an answer
	Gone                  // its client no longer waited, or its deadline had passed
	Failed                // an error, which tells nothing of the capacity
)

// A Completion is a request that was measured and left the handler.
type Completion struct {
	At       time.Duration // when it left
	Took     time.Duration // since it was admitted, less
	Paused   time.Duration // the time that it waited for its client in the handler
	Waited   time.Duration // in the queue, before that
	Met      int           // requests in the handler when it came
	InFlight int           // requests that hold a slot, itself included
	Waiting  bool          // others wait for a slot
	Slot     Slot
	Outcome  Outcome
	Route    string // "" if it is not known
	Retry    bool   // it is not the first attempt of its call
}

func newAdaptiveLimit(least, most float64) adaptiveLimit {
	return adaptiveLimit{
		limit: math.Max(least, math.Min(startLimit, most)), min: least, max: most, why: "start",
		trials: trials{pause: leastPause},
	}
}

func (a *adaptiveLimit) bounded(limit float64) float64 {
	return math.Max(a.min, math.Min(a.max, limit))
}

// shed counts requests that were refused for want of room.
func (a *adaptiveLimit) shed(n int) { a.window.shed += n }

// target is the latency from which on an answer is late.
func (a *adaptiveLimit) target() float64 { return a.patience.target(a.trials.base) }

// inTime is the latency that a trial of less allows for: a third of the target, but
// more than what the work takes, as far as clients bear it.
func (a *adaptiveLimit) inTime() float64 {
	return math.Max(shortLine*a.target(), math.Max(a.trials.base, math.Min(slowed*a.trials.base, a.bears()/2)))
}

// fits reports whether the handler serves all that is asked for, only later: no more is
// asked for than it is known to serve, and most answers come while their clients wait.
// Just after a line, the same calls may be too many again.
func (a *adaptiveLimit) fits(w *window) bool {
	useful := w.usual() < a.bears() || w.gone > 0 && 2*w.gone < w.n || a.useful >= mostly*a.asked
	return useful && a.known(w) && w.mostUseful() && !a.lined()
}

// lined reports whether there was a line in the handler just now, or when the trial began.
func (a *adaptiveLimit) lined() bool {
	at := a.last
	if a.trials.on {
		at = a.trials.changed
	}
	return a.calm.lined > 0 && (at-a.calm.lined).Seconds() < aftermath
}

// known reports whether the handler served as much as is asked for while nothing was
// late. Requests come by chance, so one standard deviation more counts as the same, and
// two in a single window. Retries are no more calls, unless many clients were refused and
// told to come back: then these are what was not served before.
func (a *adaptiveLimit) known(w *window) bool {
	served, then, part := a.calm.most, a.calm.most*w.seconds, w.calls()
	if a.rare(w) || a.owed > backlog {
		part = 1
	}
	return a.asked*part <= asMuch*served+math.Sqrt(served) && w.asked*part <= moment*then+2*math.Sqrt(then)
}

// rare reports whether so few calls come in a second that chance alone makes a line.
func (a *adaptiveLimit) rare(w *window) bool { return a.asked*w.calls() < leastCalm }

// mostRefused reports whether twice as many requests come as get an answer in time.
func (a *adaptiveLimit) mostRefused(useful float64) bool { return a.asked > 2*useful }

// completed takes in a completion and reports whether the limit may have
// changed.
func (a *adaptiveLimit) completed(c Completion, queued int) bool {
	c.Took = max(1, c.Took) // of which there is a logarithm
	w := &a.window
	if a.last == 0 {
		w.since, a.last = c.At-c.Took, c.At
	}
	switch after := (c.Waited + c.Took).Seconds(); c.Outcome {
	case Gone:
		a.patience.leave(after)
	case Served:
		a.patience.stay(after)
	}
	if a.windows == 0 && !c.Slot.First {
		return a.early(c)
	}
	if c.Outcome != Failed {
		a.routes.add(c.Route, c.Took)
		a.succession.add(c.Took.Seconds())
	}
	if c.Slot.Beyond > 0 {
		return false // it says nothing of those that hold a slot
	}
	if c.Outcome != Failed {
		a.met.add(c, a.last)
	}
	moved := a.answered(c)
	a.standstill(c)
	a.last = c.At
	w.add(c, queued, a.trials.changed)
	if c.Outcome == Served && a.patience.known() == 0 && (c.Waited+c.Took).Seconds() > math.Max(unknown, a.target()) {
		w.tooLate++
	}
	if !w.closes(c.At, a.windows == 0, a.trials.on) {
		return moved
	}
	a.close(c.At)
	return true
}

// early counts a request that met others and is over before the first ones are. It reports
// whether the first window is closed with it.
func (a *adaptiveLimit) early(c Completion) bool {
	w := &a.window
	a.last = c.At
	w.others++
	w.tookOthers += c.Took.Seconds()
	w.overtook = w.overtook || c.Outcome == Served
	if c.Outcome == Gone {
		w.left++
	}
	if !w.outrun(c.At - w.since) {
		return false
	}
	a.close(c.At)
	return true
}

// close ends the window, and decides.
func (a *adaptiveLimit) close(now time.Duration) {
	w := a.window
	w.seconds = max(now-w.since, time.Microsecond).Seconds()
	w.all += float64(w.others)
	a.window = window{since: now}
	a.windows++
	a.rate = 0
	if w.shed == 0 {
		a.rate = w.all / w.seconds
	}
	if w.failed == w.n {
		return // how soon errors come says nothing
	}
	w.asked = math.Max(0, w.all+float64(w.shed)+w.more()+float64(w.queued-w.firstQueued)) * w.sound()
	first := a.usual == 0 // window with an answer
	a.usual = w.usual()
	if first {
		a.work, a.asked, a.useful = w.rate(), w.asked/w.seconds, w.useful()
		a.latency, a.trials.base = w.latency(), w.alone()
		if w.leaves() {
			a.trials.base = math.Min(a.trials.base, lateShare*a.patience.waits())
		}
	}
	if a.windows > 1 && a.windows <= young && w.n >= leastArm && w.all*w.sound() < crowdedOut*w.asked {
		a.trials.base = math.Min(a.trials.base, lateShare*a.patience.waits()) // which was in a line
	}
	part := 1 - math.Exp(-w.seconds)
	a.work = a.completing(&w)
	a.asked += (w.asked/w.seconds - a.asked) * part
	a.useful += (w.useful() - a.useful) * part
	a.latency += (w.latency() - a.latency) * .2
	if !a.fixed {
		a.decide(now, &w)
		if a.sched != nil {
			if a.sched.due(now) {
				a.sched.look(now, a.limit, w.level(), a.knee())
			}
			a.limit = a.sched.capped(a.limit)
		}
		a.limit = a.bounded(a.limit)
	}
	a.routes.line = a.trials.line
	a.routes.close(w.seconds, a.calm.now || a.fixed)
	a.baseline = math.Round(1e9 * math.Min(a.latency, math.Max(a.trials.base, a.target()/2)))
}

// decide moves the limit, if that is called for.
func (a *adaptiveLimit) decide(now time.Duration, w *window) {
	tr, c := &a.trials, &a.calm
	late := a.late(now, w)
	if !late {
		a.met.forget()
	}
	binds := w.level() >= binding*a.limit || w.short() && float64(w.most) >= a.limit-1
	steep := w.level() > (1+steadily)*c.level+2
	begins := binds && !c.bound
	if c.bound = binds; begins {
		tr.changed = w.since // requests from before met fewer others
	}
	c.look(w, a.latency, late, binds)
	if !late && a.usual < tr.base {
		tr.base += (a.usual - tr.base) * settling
	}
	few := w.level() < leastCalm // are no line
	c.now = !binds && !steep && (c.even > 5 || !late && (few && !tr.line || c.even > 1 || a.windows <= young))
	switch {
	case c.now:
		a.rest(w)
	case tr.on:
		a.judge(now, w)
	case binds:
		if late || !a.grow(now, w, begins) {
			a.judge(now, w)
		}
	case w.wasted(tr.base) || late && steep && !few:
		tr.arm = window{}
		if a.noLine(w) {
			a.slow(now, w)
		} else if most := float64(w.most); a.fits(w) {
			a.limit = math.Max(leastCalm, math.Min(2*most, a.bearable()))
		} else {
			a.limit = math.Min(a.limit, tight*most)
		}
	default:
		tr.arm = window{}
	}
	if tr.line && !tr.on {
		c.lined = now
	}
}

// grow raises a limit that binds while nothing is late, and reports whether it did.
func (a *adaptiveLimit) grow(now time.Duration, w *window, begins bool) bool {
	tr := &a.trials
	most := growth * a.limit
	if tr.line {
		most = math.Min(most, math.Min(a.work, w.rate())*tr.inTime)
	}
	if a.usual >= slowed*tr.base && now >= tr.free {
		// They may stand in a line, which grows as the limit does.
		most = math.Min(most, a.limit*filling*a.target()/a.usual)
		if begins {
			most = 0
		}
	}
	if w.old() || most <= a.limit || tr.line && most < worthwhile*a.limit && now >= tr.hold {
		return false // or a trial of more finds out sooner
	}
	a.move(now, most, "it binds, and nothing is late")
	return true
}

// late reports whether answers are late, or many clients have left.
func (a *adaptiveLimit) late(now time.Duration, w *window) bool {
	return now >= a.trials.free && w.usual() > a.target() || w.wasted(a.trials.base)
}

// look takes in a window.
func (c *calm) look(w *window, latency float64, late, binds bool) {
	n := w.level()
	c.level += (n - c.level) * (1 - math.Exp(-w.seconds/math.Max(1, 2*latency)))
	c.trend += (n - c.trend) * (1 - math.Exp(-w.seconds/math.Max(5, 5*latency)))
	c.even += w.seconds
	if binds || math.Abs(n-c.level) > steadily*c.level+2 || late && n > (1+creeping)*c.trend+2 {
		c.even = 0
	}
}

// rest is for a limit that does not bind, while nothing is late or the number in
// flight has not changed for long: a line would grow.
func (a *adaptiveLimit) rest(w *window) {
	tr, c := &a.trials, &a.calm
	c.most = math.Max(a.work, c.most*math.Exp(-w.seconds/remembered))
	c.peak = math.Max(float64(w.most), c.peak*math.Exp(-w.seconds/peaks))
	want := math.Max(math.Max(leastCalm, headroom*c.peak), c.most*filling*a.target())
	a.limit = math.Max(want, a.limit*math.Exp(-w.seconds/sinking))
	*tr = trials{base: tr.base, free: tr.free, changed: tr.changed, pause: max(leastPause, tr.pause-time.Duration(w.seconds*1e9))}
}

// move sets the limit. Requests from before it do not tell of it.
func (a *adaptiveLimit) move(now time.Duration, limit float64, why string) {
	a.limit, a.why = a.bounded(math.Round(limit)), why
	a.trials.changed, a.trials.arm = now, window{}
	a.trials.span, a.trials.useful = 0, 0
}

// knee is how many requests keep the handler busy, by Little's law.
func (a *adaptiveLimit) knee() float64 { return a.calm.most * a.trials.base }

// throughput is how many requests per second the handler completes.
func (a *adaptiveLimit) throughput() float64 { return a.work }

// every returns one in how many requests is to be measured.
func (a *adaptiveLimit) every() int32 {
	return int32(max(1, min(mostEvery, a.rate*windowTime.Seconds()/sampleCount)))
}
