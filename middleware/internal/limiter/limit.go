package limiter

import (
	"math"
	"time"
)

// Constants of the limit. They are ratios and counts that hold for services of
// any size, so there is nothing to set.
const (
	tolerance = 3.0 // mean latency over baseline from which on the handler is overloaded
	calm      = 0.6 // part of the tolerance below which it is healthy
	headroom  = 4.0 // limit over the most that a healthy handler had in flight
	wasteful  = 0.1 // share of completions for clients that had left
	growth    = 1.5 // of a limit that binds while more in flight serve more

	windowTime  = 100 * time.Millisecond // a window is at least that long
	windowCount = 50                     // and has that many completions,
	slowTime    = 2 * time.Second        // or after that long
	slowCount   = 10                     // only that many
	sampleCount = 200                    // completions in windowTime that have to be measured
	mostEvery   = 16                     // requests, of which one is measured

	learning = 10 // windows in which the baseline is not settled yet

	follow = 1.2 // in flight over what keeps the handler busy, up to which the baseline follows the latency

	startLimit = 64
)

// adaptiveLimit finds how many requests a handler can serve at a time, by Little's
// law: its greatest throughput times its latency without load, the baseline, is
// what keeps it busy without a queue inside it. Latencies are compared with the
// baseline of their route, so that another mix of cheap and expensive requests is
// not taken for load.
//
// A baseline learnt from a loaded handler is too high. One learnt before the
// service became slower is too low. So a handler that has shed for some time is
// probed: the limit drops to half of what keeps it busy for a small cohort of
// requests, and their mean latency corrects the baseline.
//
// It is not safe for concurrent use.
type adaptiveLimit struct {
	limit    float64
	min, max float64
	fixed    bool // the limit is given; only baseline and throughput are measured
	routes   routes
	sched    *schedLimit // nil: the scheduler is not watched

	born     time.Duration // start of the first request
	window   windowStats
	windows  int     // closed so far
	baseline float64 // ns; of the mix in the last window
	guessed  bool    // baseline: no request was served to the end yet

	work     float64       // throughput times baseline: requests served at a time without waiting, averaged over 1 s
	busy     float64       // the greatest work seen, fading over 60 s
	grown    float64       // work when the limit last grew because it bound
	rate     float64       // completions per second in the last window; 0 if it shed
	peak     float64       // in flight while the limit did not bind, fading over 30 s
	surge    float64       // in flight in the last window, if that looked healthy
	cut      time.Duration // when the limit was last lowered
	verified bool          // the baseline was measured without overload
	shedding time.Duration // since when windows have shed; 0: the last did not

	probe      probe
	probeDone  time.Duration // when the last one ended
	probePause time.Duration // until the next, where the last found nothing wrong
}

// windowStats is what happened since the last decision.
type windowStats struct {
	since     time.Duration
	n         int     // completions that were measured
	all       float64 // that they stand for
	took      float64 // ns
	live      int     // completions whose client still waited
	liveTook  float64
	inFlight  float64
	most      int // in flight
	shed      int
	stale     int // completions admitted before the limit was last cut
	unstarted bool
}

// A Completion is a request that was measured and left the handler.
type Completion struct {
	At       time.Duration // when it left
	Took     time.Duration // since it was admitted
	InFlight int           // requests in the handler, itself included
	Weight   uint8         // of its Slot
	Probe    int           // of its Slot
	Gone     bool          // its client no longer waited, or its deadline had passed
	Route    string        // "" if it is not known
}

func newAdaptiveLimit(least, most float64) adaptiveLimit {
	return adaptiveLimit{limit: math.Max(least, math.Min(startLimit, most)), min: least, max: most, window: windowStats{unstarted: true}}
}

// shed counts requests that were refused for want of room.
func (a *adaptiveLimit) shed(n int) { a.window.shed += n }

// completed takes in a completion and reports whether the limit may have
// changed.
func (a *adaptiveLimit) completed(c Completion) bool {
	c.Took = max(1, c.Took) // it is a divisor
	route := a.routes.of(c.Route)
	if a.probe.on {
		return a.probed(c, route)
	}
	w := &a.window
	if w.unstarted {
		w.unstarted, w.since = false, c.At-c.Took
		a.born = w.since
	}
	w.n++
	w.all += float64(c.Weight)
	w.took += float64(c.Took)
	w.inFlight += float64(c.InFlight)
	w.most = max(w.most, c.InFlight)
	if c.At-c.Took < a.cut {
		w.stale++
	}
	route.add(float64(c.Took), c.Gone)
	if !c.Gone {
		w.live++
		w.liveTook += float64(c.Took)
	}
	elapsed := c.At - w.since
	if elapsed < windowTime || w.n < windowCount && (elapsed < slowTime || w.n < slowCount) {
		return false
	}
	a.close(c.At, elapsed)
	return true
}

// rescale corrects the baseline and what is measured by it.
func (a *adaptiveLimit) rescale(ratio float64) {
	a.routes.rescale(ratio)
	a.baseline *= ratio
	a.scale(ratio)
}

// scale corrects what was measured by a wrong baseline.
func (a *adaptiveLimit) scale(ratio float64) {
	a.work *= ratio
	a.busy *= ratio
	a.grown *= ratio
}

// close ends the window and decides.
func (a *adaptiveLimit) close(now, elapsed time.Duration) {
	w := &a.window
	n := float64(w.n)
	latency, inFlight, most := w.took/n, w.inFlight/n, float64(w.most)
	if w.live > 0 {
		latency = w.liveTook / float64(w.live)
	}
	waste := 1 - float64(w.live)/n
	a.windows++
	if w.shed == 0 {
		a.shedding = 0
	} else if a.shedding == 0 {
		a.shedding = w.since
	}
	a.measure(now, elapsed, latency)
	a.rate = 0
	if w.shed == 0 {
		a.rate = w.all / elapsed.Seconds()
	}
	if !a.fixed {
		a.decide(now, elapsed, latency, inFlight, most, waste)
		if a.sched != nil && !a.probe.on {
			if a.sched.due(now) {
				a.sched.look(now, a.limit, inFlight, a.busy)
			}
			a.limit = a.bounded(a.sched.capped(a.limit))
		}
	}
	a.reset(now)
}

func (a *adaptiveLimit) reset(now time.Duration) {
	a.routes.clear()
	a.window = windowStats{since: now}
}

// measure updates baseline and throughput.
func (a *adaptiveLimit) measure(now, elapsed time.Duration, latency float64) {
	guess := a.baseline
	a.baseline = a.routes.mix()
	switch {
	case a.baseline == 0:
		// No client has waited to the end since the start. How long those that
		// left took is all that is known.
		a.baseline, a.guessed = latency, true
	case a.guessed:
		a.guessed = false
		a.scale(a.baseline / guess)
	}
	if part := a.settling(now, latency); part > 0 && !a.guessed {
		a.routes.learn(part)
		learnt := a.routes.mix()
		a.scale(learnt / a.baseline)
		a.baseline = learnt
	}
	s := elapsed.Seconds()
	work := a.window.all * a.baseline / 1e9 / s
	if a.windows == 1 {
		a.work = work
	} else {
		a.work += (work - a.work) * (1 - math.Exp(-s))
	}
	a.busy = math.Max(a.work, a.busy*math.Exp(-s/60))
}

// settling returns which part of the way the baseline moves to the latency of
// this window, as long as it is new: to the mean of the windows that are calm, and
// to the least of the others.
func (a *adaptiveLimit) settling(now time.Duration, latency float64) float64 {
	w := &a.window
	switch {
	case now-a.born < time.Duration(5*latency):
		return 1
	case a.windows > learning:
		return 0
	case w.shed == 0 && float64(w.live) > (1-wasteful)*float64(w.n) && float64(w.most) < a.limit-1:
		return 1 / float64(a.windows)
	case latency < a.baseline:
		return 1
	}
	return 0
}

// decide sets the limit from what the window says.
func (a *adaptiveLimit) decide(now, elapsed time.Duration, latency, inFlight, most, waste float64) {
	s := elapsed.Seconds()
	binds := most >= a.limit-1
	work := a.window.all * a.baseline / 1e9 / s
	inflated := latency > tolerance*a.baseline
	loaded := latency > calm*tolerance*a.baseline
	wasted := waste >= wasteful
	// If whole routes are served to the end as fast as ever, load is not why the
	// others are not served in time.
	hangs := wasted && !inflated && a.verified && a.routes.unaffected() >= slowCount
	wasted = wasted && !hangs
	if a.windows > learning && !wasted && !loaded && !binds && a.window.shed == 0 {
		a.verified = true
	}
	switch {
	case !loaded && !wasted:
		a.peak *= math.Exp(-s / 30)
		if binds {
			// With a limit that binds, the peak is the limit's.
			a.peak = math.Min(a.peak, a.limit/headroom)
		} else {
			// The latency of a window tells about the requests in flight in the
			// window before: now it is known that they were not too many.
			a.peak = math.Max(a.peak, a.surge)
		}
		a.surge = most
		if a.windows > learning {
			a.routes.compare(latency / a.baseline)
			if inFlight <= follow*a.busy {
				a.rescale(1 + .1*(latency/a.baseline-1))
			}
		}
		want := a.enough()
		if !binds {
			want = math.Max(want, headroom*a.peak)
		}
		if binds && work > 1.1*a.grown {
			a.grown = work
			a.limit *= growth
		} else {
			a.limit = math.Max(want, a.limit*.98)
		}
	case inflated || wasted:
		before := a.limit
		a.limit = math.Min(a.limit, a.enough())
		// Requests admitted before the limit was cut do not show that it has to be
		// cut again.
		if wasted && !(a.verified && 2*a.window.stale > a.window.n) {
			a.limit = math.Min(a.limit, inFlight) * .7
			if a.verified {
				a.limit = math.Max(a.limit, a.busy)
			}
		}
		if a.limit < before {
			a.cut = now
		}
		a.surge = 0
		a.peak = math.Min(a.peak, a.limit/headroom)
	default:
		a.surge = 0
		a.limit = math.Min(a.limit, math.Max(most, a.enough()))
	}
	if !binds {
		a.grown *= .95
	}
	if hangs || !a.probes(now, most, waste, inflated) {
		a.limit = a.bounded(a.limit)
	}
}

// enough is the limit that keeps the handler busy with any mix of routes.
func (a *adaptiveLimit) enough() float64 { return tolerance * a.busy }

func (a *adaptiveLimit) bounded(limit float64) float64 {
	return math.Max(a.min, math.Min(a.max, limit))
}

// every returns one in how many requests is to be measured.
func (a *adaptiveLimit) every() int32 {
	return int32(max(1, min(mostEvery, a.rate*windowTime.Seconds()/sampleCount)))
}

// throughput is the most requests per second that the handler has completed
// lately; 0 if it is not known.
func (a *adaptiveLimit) throughput() float64 {
	if a.baseline <= 0 {
		return 0
	}
	return a.busy * 1e9 / a.baseline
}
