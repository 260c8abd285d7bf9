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

	learning = 10 // windows in which the base is not settled yet

	probeEvery  = 10 * time.Second
	probeCohort = 32
	probeLeast  = 5 // of the cohort that must have returned to be believed

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

	work     float64 // requests that are served at a time but for waiting: throughput times base, averaged over 1 s
	busy     float64 // the greatest work seen, fading over 60 s
	grown    float64 // work when the limit last grew because it bound
	peak     float64 // in flight while the limit did not bind, fading over 30 s
	shedding int     // windows in a row that shed

	probe     probe
	probeDone time.Duration // when the last one ended
}

// window is what happened since the last decision.
type window struct {
	since     time.Duration
	n         int
	took      float64 // ns
	inFlight  float64
	most      int // in flight
	dropped   int
	shed      int
	unstarted bool
}

// probe is a cohort of requests by which the base is verified.
type probe struct {
	on       bool
	number   int // of this probe, by which its requests are told from others
	started  int
	done     int
	at       time.Duration
	took     float64
	expected float64 // took, had each the base of its route
}

// completion is what a request that left the handler says about it.
type completion struct {
	at       time.Duration // since the epoch of the machine
	took     time.Duration
	inFlight int // itself counted
	dropped  bool
	probe    int // its number if the request belongs to one
	pattern  string
}

func newAdaptive(least, most float64) adaptive {
	return adaptive{limit: math.Min(startLimit, most), min: least, max: most, window: window{unstarted: true}}
}

// admitted returns the number of the probe that a request now admitted belongs
// to, 0 if to none.
func (a *adaptive) admitted() int {
	if !a.probe.on || a.probe.started >= probeCohort {
		return 0
	}
	a.probe.started++
	return a.probe.number
}

// shed counts a request that was refused for want of room.
func (a *adaptive) shed() { a.window.shed++ }

// completed takes in a completion and reports whether the limit may have
// changed.
func (a *adaptive) completed(c completion) bool {
	route := a.routes.of(c.pattern)
	if a.probe.on {
		return a.probed(c, route)
	}
	w := &a.window
	if w.unstarted {
		w.unstarted, w.since = false, c.at-c.took
		a.born = w.since
	}
	route.add(float64(c.took))
	w.n++
	w.took += float64(c.took)
	w.inFlight += float64(c.inFlight)
	w.most = max(w.most, c.inFlight)
	if c.dropped {
		w.dropped++
	}
	elapsed := c.at - w.since
	if elapsed < windowTime || w.n < windowCount && (elapsed < slowTime || w.n < slowCount) {
		return false
	}
	a.close(c.at, elapsed)
	return true
}

// probed takes in a completion during a probe, of which only the cohort
// counts: requests from before it waited in a handler that was full.
func (a *adaptive) probed(c completion, route *route) bool {
	p := &a.probe
	if c.probe == p.number {
		p.done++
		p.took += float64(c.took)
		p.expected += route.expected(float64(c.took))
	}
	if p.done < probeCohort && c.at-p.at <= max(slowTime, time.Duration(10*a.base)) {
		return false
	}
	if p.done >= probeLeast && p.expected > 0 {
		ratio := p.took / p.expected
		if ratio > .5 && ratio < 2 {
			ratio = math.Sqrt(ratio) // the noise of one cohort
		}
		a.rescale(ratio)
	}
	a.probe = probe{number: p.number}
	a.probeDone = c.at
	a.limit = a.bounded(tolerance * a.busy)
	a.reset(c.at)
	return true
}

// rescale corrects the base and what is measured by it.
func (a *adaptive) rescale(ratio float64) {
	a.routes.rescale(ratio)
	a.base *= ratio
	a.work *= ratio
	a.busy *= ratio
	a.grown *= ratio
}

// close ends the window and decides.
func (a *adaptive) close(now, elapsed time.Duration) {
	w := &a.window
	n := float64(w.n)
	latency, inFlight, most := w.took/n, w.inFlight/n, float64(w.most)
	waste := float64(w.dropped) / n
	a.windows++
	if w.shed > 0 {
		a.shedding++
	} else {
		a.shedding = 0
	}
	a.measure(now, elapsed, latency)
	if !a.fixed {
		a.decide(now, elapsed, latency, inFlight, most, waste)
		if a.guard != nil {
			a.limit = a.bounded(a.guard.capped(now, a.limit, inFlight))
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
	base := a.routes.mix()
	young := now-a.born < time.Duration(5*latency)
	if young || a.windows <= learning && latency < base {
		a.routes.learn(1)
	}
	a.base = a.routes.mix()
	s := elapsed.Seconds()
	work := float64(a.window.n) * a.base / 1e9 / s
	if a.windows == 1 {
		a.work = work
	} else {
		a.work += (work - a.work) * (1 - math.Exp(-s))
	}
	a.busy = math.Max(a.work, a.busy*math.Exp(-s/60))
}

// decide sets the limit from what the window says.
func (a *adaptive) decide(now, elapsed time.Duration, latency, inFlight, most, waste float64) {
	s := elapsed.Seconds()
	binds := most >= a.limit-1
	keepsBusy := func() float64 { return tolerance * a.busy }
	work := float64(a.window.n) * a.base / 1e9 / s
	inflated := latency > tolerance*a.base
	switch {
	case latency <= calm*tolerance*a.base && waste < wasteful:
		a.peak *= math.Exp(-s / 30)
		if binds {
			// A limit that binds says nothing about what the peak would be.
			a.peak = math.Min(a.peak, a.limit/headroom)
		} else {
			a.peak = math.Max(a.peak, most)
		}
		if a.windows > learning && (latency < a.base || inFlight <= a.busy) {
			a.follow()
		}
		want := keepsBusy()
		if !binds {
			want = math.Max(want, headroom*a.peak)
		}
		if binds && work > 1.1*a.grown {
			a.grown = work
			a.limit *= growth
		} else {
			a.limit = math.Max(want, a.limit*.98)
		}
	case inflated || waste >= wasteful:
		a.limit = math.Min(a.limit, keepsBusy())
		if waste >= wasteful {
			a.limit = math.Min(a.limit, inFlight) * .7
		}
		a.peak = math.Min(a.peak, a.limit/headroom)
	default:
		a.limit = math.Min(a.limit, math.Max(most, keepsBusy()))
	}
	if !binds {
		a.grown *= .95
	}
	due := now-a.probeDone >= probeEvery && a.shedding >= 3 && most >= .9*keepsBusy()
	// Work is wasted although the latency looks normal: it is the base that is
	// wrong.
	wrong := waste >= wasteful && !inflated && now-a.probeDone >= probeEvery/10
	if a.windows > learning && (due || wrong) {
		a.probe = probe{on: true, number: a.probe.number + 1, at: now}
		a.limit = math.Max(1, math.Min(a.busy, a.limit)/2)
		return
	}
	a.limit = a.bounded(a.limit)
}

// follow moves the bases a little towards what a calm window shows.
func (a *adaptive) follow() {
	before := a.base
	a.routes.learn(.1)
	after := a.routes.mix()
	if before > 0 {
		ratio := after / before
		a.base = after
		a.work *= ratio
		a.busy *= ratio
		a.grown *= ratio
	}
}

func (a *adaptive) bounded(limit float64) float64 {
	return math.Max(a.min, math.Min(a.max, limit))
}

// throughput is the greatest number of requests per second that the handler
// was seen to complete; 0 if it is not known.
func (a *adaptive) throughput() float64 {
	if a.base <= 0 {
		return 0
	}
	return a.busy * 1e9 / a.base
}
