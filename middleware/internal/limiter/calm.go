package limiter

import (
	"math"
	"time"
)

// learning is in how many windows next to nothing is known.
const learning = 10

// calm is what a limit knows from the time in which it does not bind.
type calm struct {
	proved     bool    // it was calm for some time
	peak       float64 // in flight, fading over 30 s
	surge      float64 // in flight in the last window, if that was calm
	quiet      float64 // seconds since the limit last bound
	level      float64 // in flight, averaged over 5 s
	even       float64 // seconds in which it was that
	refN, refX float64 // in flight before, and the throughput that they gave
}

// rest is for a limit that does not bind.
func (a *adaptiveLimit) rest(now time.Duration, s float64, w window, wasted, follows bool) {
	c, tr := &a.calm, &a.trials
	inFlight, most := w.inFlight/float64(w.n), float64(w.most)
	if c.quiet += s; c.quiet > 2 && a.slowness <= loaded {
		tr.forget()
		a.patience.cut = false
	}
	if tr.on && tr.down && !w.short() {
		tr.on = false
		a.move(now, math.Max(a.limit, tr.from), "the load has gone")
	}
	if !tr.on && c.quiet > 1 {
		tr.arm = arm{from: now}
	}
	fade := 30.
	if a.windows <= 5*learning {
		fade = 2
	}
	c.peak *= math.Exp(-s / fade)
	c.evenly(inFlight, s, w.short() || wasted)
	if c.even > 2 {
		a.limit = math.Max(a.limit, 2*most) // so many are served all the time
	}
	if c.even > 3 {
		c.proved = true
	}
	if c.even > 5 {
		a.routes.learn(.05) // they take that long now
	}
	young := a.windows <= learning
	if wasted || !follows || a.pace > math.Log(loaded) && !(young && a.slowness < loaded*loaded) {
		c.surge = 0
		return
	}
	// The latency of a window tells of those in flight in the window before: now
	// it is known that they were not too many.
	c.peak, c.surge = math.Max(c.peak, c.surge), most
	if young {
		a.routes.learn(1 / float64(a.windows+1))
	} else {
		a.routes.learn(.1)
		c.proved = true
	}
	if tr.on {
		return
	}
	falling := math.Max(math.Min(a.limit, 2*most), a.limit*math.Exp(-s/2.5))
	want := math.Max(leastCalm, math.Max(headroom*c.peak, a.most*a.patience.harmless()))
	a.limit = math.Max(want, falling)
}

// follows reports whether the throughput has grown with the number in flight.
// Where it has not, either requests wait in the handler or it has become slower,
// and only a trial tells which.
func (c *calm) follows(n, x, s float64) bool {
	part, ok := .05, true
	switch {
	case c.refN == 0:
		c.refN, c.refX = n, x
	case n <= 1.5*c.refN:
	case x/c.refX-1 < .3*(n/c.refN-1):
		part, ok = .02, n < leastCalm
	default:
		part = .3
	}
	c.refN += (n - c.refN) * part
	c.refX += (x - c.refX) * part
	return ok
}

// evenly takes in the number in flight. One that does not grow, while nobody is
// refused or leaves, is that of a handler that serves all that is asked.
func (c *calm) evenly(n, s float64, not bool) {
	c.level += (n - c.level) * (1 - math.Exp(-s/5))
	c.even += s
	if not || math.Abs(n-c.level) > .2*c.level+2 {
		c.even = 0
	}
}
