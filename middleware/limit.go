package middleware

import (
	"math"
	"time"
)

// Constants of the limit. They are ratios and counts that hold for services of
// any size, which is why there is nothing to set.
const (
	tolerance = 3.0 // mean latency over base from which on the handler is overloaded
	calm      = 0.6 // part of the tolerance below which it is healthy
	headroom  = 4.0 // limit over the peak that a healthy handler was seen to have in flight
	wasteful  = 0.1 // share of completions for clients that had gone
	growth    = 1.5 // of a limit that binds while more in flight serve more

	windowTime  = 100 * time.Millisecond // a window is at least that long
	windowCount = 50                     // and has that many completions,
	slowTime    = 2 * time.Second        // or after that long
	slowCount   = 10                     // only that many
	sampleCount = 200                    // completions in windowTime are enough to know them all
	mostEvery   = 16                     // so that one that slows down is noticed

	learning = 10 // windows in which the base is not settled yet

	follow = 1.2 // in flight over what keeps the handler busy, up to which the base follows the latency

	startLimit = 64
)

// adaptive finds how many requests a handler can serve at a time, by Little's
// law: what keeps it busy without a queue inside it is its greatest throughput
// times the latency it has when it is not loaded, the base. Latencies count in
// relation to the base of their route, so that another mix of cheap and
// expensive requests is not taken for load.
//
// A base that is learnt from a loaded handler is too high, and one that is kept
// too low when the service became slower. So a handler that has shed for some
// time is probed: the limit drops to half of what keeps it busy for one small
// cohort of requests, whose mean latency corrects the base.
//
// It is not safe for concurrent use.
type adaptive struct {
	limit    float64
	min, max float64
	fixed    bool // the limit is given; only base and throughput are measured
	routes   routes
	guard    *schedGuard // nil: none

	born    time.Duration // start of the first request
	window  window
	windows int     // closed so far
	base    float64 // ns; of the mix in the last window
	guessed bool    // base, as no completion told of it

	work     float64       // requests that are served at a time but for waiting: throughput times base, averaged over 1 s
	busy     float64       // the greatest work seen, fading over 60 s
	grown    float64       // work when the limit last grew because it bound
	rate     float64       // completions per second in the last window; 0 if it shed
	peak     float64       // in flight while the limit did not bind, fading over 30 s
	surge    float64       // in flight in the last window, if that looked healthy
	cut      time.Duration // when the limit was last lowered
	verified bool          // the base was measured without overload
	shedding time.Duration // since when windows have shed; 0: the last did not

	probe      probe
	probeDone  time.Duration // when the last one ended
	probePause time.Duration // until the next, where the last found nothing wrong
}

// window is what happened since the last decision.
type window struct {
	since     time.Duration
	n         int     // completions that were measured
	all       float64 // that they stand for
	took      float64 // ns
	live      int     // completions that somebody waited for
	liveTook  float64
	inFlight  float64
	most      int // in flight
	shed      int
	stale     int // completions admitted before the limit was last cut
	unstarted bool
}

// completion is what a request that left the handler says about it.
type completion struct {
	at       time.Duration // since the epoch of the machine
	took     time.Duration
	inFlight int   // itself counted
	weight   uint8 // how many it stands for
	dropped  bool
	probe    int // its number if the request belongs to one
	pattern  string
}

func newAdaptive(least, most float64) adaptive {
	return adaptive{limit: math.Max(least, math.Min(startLimit, most)), min: least, max: most, window: window{unstarted: true}}
}

// shed counts requests that were refused for want of room.
func (a *adaptive) shed(n int) { a.window.shed += n }

// completed takes in a completion and reports whether the limit may have
// changed.
func (a *adaptive) completed(c completion) bool {
	c.took = max(1, c.took) // of which shares are taken
	route := a.routes.of(c.pattern)
	if a.probe.on {
		return a.probed(c, route)
	}
	w := &a.window
	if w.unstarted {
		w.unstarted, w.since = false, c.at-c.took
		a.born = w.since
	}
	w.n++
	w.all += float64(c.weight)
	w.took += float64(c.took)
	w.inFlight += float64(c.inFlight)
	w.most = max(w.most, c.inFlight)
	if c.at-c.took < a.cut {
		w.stale++
	}
	route.add(float64(c.took), c.dropped)
	if !c.dropped {
		w.live++
		w.liveTook += float64(c.took)
	}
	elapsed := c.at - w.since
	if elapsed < windowTime || w.n < windowCount && (elapsed < slowTime || w.n < slowCount) {
		return false
	}
	a.close(c.at, elapsed)
	return true
}

// rescale corrects the base and what is measured by it.
func (a *adaptive) rescale(ratio float64) {
	a.routes.rescale(ratio)
	a.base *= ratio
	a.scale(ratio)
}

// scale corrects what is measured by a base that was wrong.
func (a *adaptive) scale(ratio float64) {
	a.work *= ratio
	a.busy *= ratio
	a.grown *= ratio
}

// close ends the window and decides.
func (a *adaptive) close(now, elapsed time.Duration) {
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
		if a.guard != nil && !a.probe.on {
			if a.guard.due(now) {
				a.guard.look(now, a.limit, inFlight, a.busy)
			}
			a.limit = a.bounded(a.guard.capped(a.limit))
		}
	}
	a.reset(now)
}

func (a *adaptive) reset(now time.Duration) {
	a.routes.clear()
	a.window = window{since: now}
}

// measure brings base and throughput up to date.
func (a *adaptive) measure(now, elapsed time.Duration, latency float64) {
	guess := a.base
	a.base = a.routes.mix()
	switch {
	case a.base == 0:
		// Nobody has been served in time since the start. That they took so
		// long is all that is known.
		a.base, a.guessed = latency, true
	case a.guessed:
		a.guessed = false
		a.scale(a.base / guess)
	}
	if part := a.settling(now, latency); part > 0 && !a.guessed {
		a.routes.learn(part)
		learnt := a.routes.mix()
		a.scale(learnt / a.base)
		a.base = learnt
	}
	s := elapsed.Seconds()
	work := a.window.all * a.base / 1e9 / s
	if a.windows == 1 {
		a.work = work
	} else {
		a.work += (work - a.work) * (1 - math.Exp(-s))
	}
	a.busy = math.Max(a.work, a.busy*math.Exp(-s/60))
}

// settling returns by which part of its distance the base moves to what a window
// shows while it is new: to the mean of those that are calm, and to the least of
// those that may not be.
func (a *adaptive) settling(now time.Duration, latency float64) float64 {
	w := &a.window
	switch {
	case now-a.born < time.Duration(5*latency):
		return 1
	case a.windows > learning:
		return 0
	case w.shed == 0 && float64(w.live) > (1-wasteful)*float64(w.n) && float64(w.most) < a.limit-1:
		return 1 / float64(a.windows)
	case latency < a.base:
		return 1
	}
	return 0
}

// decide sets the limit from what the window says.
func (a *adaptive) decide(now, elapsed time.Duration, latency, inFlight, most, waste float64) {
	s := elapsed.Seconds()
	binds := most >= a.limit-1
	work := a.window.all * a.base / 1e9 / s
	inflated := latency > tolerance*a.base
	loaded := latency > calm*tolerance*a.base
	wasted := waste >= wasteful
	// Where whole routes are served as fast as ever and to the end, it is not
	// load that keeps the others from being served in time.
	hangs := wasted && !inflated && a.verified && a.routes.unaffected() >= slowCount
	wasted = wasted && !hangs
	if a.windows > learning && !wasted && !loaded && !binds && a.window.shed == 0 {
		a.verified = true
	}
	switch {
	case !loaded && !wasted:
		a.peak *= math.Exp(-s / 30)
		if binds {
			// A limit that binds says nothing about what the peak would be.
			a.peak = math.Min(a.peak, a.limit/headroom)
		} else {
			// Latency tells of those that were in flight before: only now that
			// it is still calm it is known that they were not too many.
			a.peak = math.Max(a.peak, a.surge)
		}
		a.surge = most
		if a.windows > learning {
			a.routes.compare(latency / a.base)
			if inFlight <= follow*a.busy {
				a.rescale(1 + .1*(latency/a.base-1))
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
		// What was admitted before the limit was cut does not say that it has
		// to be cut again.
		if wasted && !(a.verified && 2*a.window.stale > a.window.n) {
			a.limit = math.Min(a.limit, inFlight) * .7
			if a.verified {
				a.limit = math.Max(a.limit, a.busy) // which it needs in any case
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

// enough is the limit that keeps the handler busy whatever the mix of the
// moment is.
func (a *adaptive) enough() float64 { return tolerance * a.busy }

func (a *adaptive) bounded(limit float64) float64 {
	return math.Max(a.min, math.Min(a.max, limit))
}

// every returns one in how many requests is to be measured.
func (a *adaptive) every() int32 {
	return int32(max(1, min(mostEvery, a.rate*windowTime.Seconds()/sampleCount)))
}

// throughput is the greatest number of requests per second that the handler
// was seen to complete; 0 if it is not known.
func (a *adaptive) throughput() float64 {
	if a.base <= 0 {
		return 0
	}
	return a.busy * 1e9 / a.base
}
