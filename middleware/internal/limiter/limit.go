package limiter

import (
	"math"
	"time"
)

// Constants of the limit. They are ratios and counts, which hold for services of
// any size.
const (
	startLimit = 1024 // before anything is known
	leastCalm  = 16   // limit of a handler that is not loaded, at least
	headroom   = 4.0  // that limit over the most that it had in flight
	growth     = 1.5  // of a limit that binds while requests are as quick as ever

	pressing = .85 // mean in flight over a limit that binds
	wasteful = .1  // share of the requests whose clients had left

	// How many times as long as usual requests take, in the geometric mean:
	quick    = 1.5 // as quick as ever, up to here
	loaded   = 1.8 // load may be why, from here on
	queueing = 2.5 // and from here on requests seem to wait in the handler
)

// adaptiveLimit finds how many requests a handler can serve at a time. A limit is
// too low if more in flight give more useful answers, and too high if fewer in
// flight give as many. A handler that became slower has a higher latency, and so
// has one that is overloaded: only the throughput tells one from the other. So a
// limit that binds is moved in steps, and each step is judged by the throughput
// under it. A limit that does not bind refuses nobody, and is left alone.
//
// The usual latency of each route only says which step to try first, and which
// routes the limit is about: those that take longer than usual.
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
	judged  bool          // some routes are slow, and the limit is judged by them

	baseline float64 // usual latency of the mix in the last window, ns
	latency  float64 // of the last window, ns
	slowness float64 // how many times as long as usual requests took in it
	pace     float64 // the same over more completions, as a logarithm
	rate     float64 // completions per second in it; 0 if requests were refused
	work     float64 // completions per second, averaged over 1 s
	most     float64 // the greatest of that, fading over 60 s

	calm     calm
	patience patience
	trials   trials
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
	Took     time.Duration // since it was admitted
	InFlight int           // requests that hold a slot, itself included
	Waiting  bool          // others wait for a slot
	Slot     Slot
	Outcome  Outcome
	Route    string // "" if it is not known
}

func newAdaptiveLimit(least, most float64) adaptiveLimit {
	return adaptiveLimit{
		limit: math.Max(least, math.Min(startLimit, most)), min: least, max: most, why: "start",
		slowness: 1, trials: trials{pause: leastPause},
	}
}

func (a *adaptiveLimit) bounded(limit float64) float64 {
	return math.Max(a.min, math.Min(a.max, limit))
}

// shed counts requests that were refused for want of room.
func (a *adaptiveLimit) shed(n int) { a.window.shed += n }

// short is told that there is no room, and reports whether the limit has changed.
// As long as no request has completed, no number of them is known to be too many.
func (a *adaptiveLimit) short() bool {
	before := a.limit
	if a.last == 0 && !a.fixed {
		a.limit = a.bounded(2 * a.limit)
	}
	return a.limit > before
}

// completed takes in a completion and reports whether the limit may have
// changed.
func (a *adaptiveLimit) completed(c Completion) bool {
	c.Took = max(1, c.Took) // of which there is a logarithm
	if a.window.since == 0 {
		a.window.since = c.At - c.Took
	}
	if a.last > 0 {
		a.window.gap = max(a.window.gap, c.At-a.last)
	}
	a.last = c.At
	if a.windows == 0 && !c.Slot.First {
		a.window.others++
		return false
	}
	if c.Outcome == Gone {
		a.patience.leave(c.Took.Seconds())
	}
	a.window.add(c, a.routes.of(c.Route), a.trials.changed)
	if !a.window.closes(c.At, a.windows == 0, a.calm.proved, a.trials.on) {
		return false
	}
	a.close(c.At)
	return true
}

// close ends the window, and decides.
func (a *adaptiveLimit) close(now time.Duration) {
	w := a.window
	a.window = window{since: now}
	a.windows++
	s := max(now-w.since, time.Microsecond).Seconds()
	w.all += float64(w.others)
	a.rate = 0
	if w.shed == 0 {
		a.rate = w.all / s
	}
	if w.failed == w.n {
		return // how soon errors come says nothing
	}
	a.routes.look(a.slowness, s, a.calm.quiet == 0)
	if mean := a.routes.mix(); mean > 0 {
		a.baseline = mean
	}
	x := w.all * float64(w.n-w.failed) / float64(w.n) / s
	if a.work == 0 {
		a.work = x
	}
	a.work += (x - a.work) * (1 - math.Exp(-s))
	a.most = math.Max(a.work, a.most*math.Exp(-s/60))
	t := w.quick
	if a.judged {
		t = w.slow
	}
	before := a.slowness
	if t.n > 0 {
		a.slowness = t.slowness()
		a.pace += (math.Log(a.slowness) - a.pace) * (1 - math.Exp(-float64(t.n)/150))
	}
	if a.fixed {
		a.routes.learn(.1)
	} else {
		a.decide(now, s, w, t, x, before)
		if a.sched != nil {
			if a.sched.due(now) {
				a.sched.look(now, a.limit, w.inFlight/float64(w.n), a.knee())
			}
			a.limit = a.sched.capped(a.limit)
		}
		a.limit = a.bounded(a.limit)
	}
	a.latency = w.took / float64(w.n)
	a.judged = a.routes.anySlow()
	a.routes.clear()
}

// decide moves the limit, if that is called for.
func (a *adaptiveLimit) decide(now time.Duration, s float64, w window, t tally, x, before float64) {
	tr, inFlight, most := &a.trials, w.inFlight/float64(w.n), float64(w.most)
	wasted, follows := t.wasted(), a.calm.follows(inFlight, x, s)
	pressed := inFlight >= pressing*a.limit || w.short() && most >= a.limit-1
	if !pressed && !tr.on && a.tooMany(w, t, inFlight, before, wasted, follows) {
		a.limit, pressed = math.Min(a.limit, math.Max(most, leastCalm)), true
	}
	if !pressed {
		a.rest(now, s, w, wasted, follows)
		if !tr.on {
			return
		}
	} else {
		if a.calm.quiet > 1 {
			// Requests from before it bound tell of a shorter line.
			tr.changed, tr.arm = now, arm{from: now}
		}
		a.calm.quiet, a.calm.even, a.calm.surge = 0, 0, 0
	}
	others := a.judged && w.quick.good >= slowCount // are served as quickly as ever
	if wasted && !others && !a.patience.cut && !(tr.on && tr.down) && w.gap < a.stall() && !t.old() {
		if to := a.patience.limit(w, s, inFlight, a.baseline); to < .8*a.limit {
			tr.on, a.patience.cut = false, a.calm.proved
			a.move(now, math.Max(to, a.limit/16), "clients do not wait for so long")
			return
		}
	}
	hangs := t.gone > 0 && float64(t.gone) >= wasteful*float64(t.n) && (!wasted || others && tr.helpless)
	swift := math.Max(a.slowness, math.Exp(a.pace)) <= quick && !wasted
	if !tr.on && (hangs || swift) {
		a.move(now, growth*a.limit, "as quick as ever")
		return
	}
	tr.gather(now, s, w, t, inFlight, a.stall(), others)
	switch {
	case !tr.armed(a.limit, a.slowness):
	case tr.on:
		a.verdict(now)
	default:
		a.next(now)
	}
}

// tooMany reports whether there seem to be more in flight than are of use, though
// the limit is higher. Then it comes down to them, and is tried.
func (a *adaptiveLimit) tooMany(w window, t tally, inFlight, before float64, wasted, follows bool) bool {
	slow := math.Min(before, a.slowness)
	switch {
	case wasted && inFlight > 2*a.knee():
		return true
	case a.patience.wait() > 0 && slow > quick && inFlight > math.Max(leastCalm, a.most*a.patience.wait()/2):
		return true // by Little's law they are not served before their clients leave
	}
	// A young handler gave no more answers for more in flight.
	return !a.calm.proved && !follows && (slow > queueing && 4*(w.quick.swift+w.slow.swift) < w.n || wasted)
}

// move sets the limit. Requests from before it do not tell of it.
func (a *adaptiveLimit) move(now time.Duration, limit float64, why string) {
	a.limit, a.why = a.bounded(math.Round(limit)), why
	a.trials.changed, a.trials.arm = now, arm{from: now}
}

// knee is how many requests keep the handler busy, by Little's law.
func (a *adaptiveLimit) knee() float64 { return a.most * a.baseline / 1e9 }

// stall is how long nothing completes in a handler that stands still.
func (a *adaptiveLimit) stall() time.Duration {
	return 500*time.Millisecond + 2*time.Duration(a.latency)
}

// every returns one in how many requests is to be measured.
func (a *adaptiveLimit) every() int32 {
	return int32(max(1, min(mostEvery, a.rate*windowTime.Seconds()/sampleCount)))
}

// throughput is the most requests per second that the handler has completed
// lately; 0 if it is not known.
func (a *adaptiveLimit) throughput() float64 { return a.most }
