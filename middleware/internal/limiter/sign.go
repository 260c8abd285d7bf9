package limiter

import (
	"math"
	"time"
)

const (
	byTurns   = .05 // part of the squared latency that the next one differs by: less in a line
	turnCount = 10  // latencies that this is averaged over
	metCount  = 50  // requests of which it is known how many others they met
	apartFor  = .2  // of the mean of these numbers, by which they differ where they tell
	leaving   = .75 // part of those in flight that leave in the time that they take
	nearlyAll = .8  // of the time of a request
	explained = .4  // part of the latency that those met explain: where it is less, there is no line
)

// succession compares each latency with the one before. In a line, a request takes about
// as long as the one before it, however the work of each of them varies.
type succession struct {
	last  float64 // s
	mean  float64
	apart float64 // half the squared difference of two, averaged: the variance without a trend
}

func (u *succession) add(took float64) {
	d := took - u.last
	u.last = took
	u.mean += (took - u.mean) / turnCount
	u.apart += (d*d/2 - u.apart) / turnCount
}

// orderly reports whether requests may stand in a line, where the work takes base: each
// takes longer than that, and about as long as the one before.
func (u *succession) orderly(base float64) bool {
	return u.mean > slowed*base && u.apart < byTurns*u.mean*u.mean
}

// met compares how long requests take with how many others were in the handler. In a line
// they take the longer the more they met when they came. Where they share processors, those
// that come later count as much: then the number halfway between those when a request came
// and when it left tells.
type met struct {
	came, half  leastSquares  // with the number when it came, and halfway
	quiet, over time.Duration // from when to when nobody was answered
}

// leastSquares is how the time that requests take grows with a number. They are weighed so
// that the last metCount requests count most.
type leastSquares struct {
	n          float64
	many, took float64 // means
	manies     float64 // variance of the number
	tooks      float64 // variance of how long they took
	both       float64 // covariance
}

// add takes in a request, the one before which was answered at last. One that spent nearly
// all its time in a pause says nothing: the handler may have stood still.
func (m *met) add(c Completion, last time.Duration) {
	came := c.At - c.Took - c.Paused
	paused := m.over - max(m.quiet, came)
	if d := c.At - max(last, came); d > paused {
		m.quiet, m.over, paused = last, c.At, d
	}
	if float64(paused) > nearlyAll*float64(c.Took) {
		return
	}
	m.came.add(float64(c.Met), c.Took.Seconds())
	m.half.add(float64(c.Met+c.InFlight)/2, c.Took.Seconds())
}

func (l *leastSquares) add(many, took float64) {
	l.n = math.Min(l.n+1, metCount)
	part := 1 / l.n
	rest := 1 - part
	dm, dt := many-l.many, took-l.took
	l.many += part * dm
	l.took += part * dt
	l.manies = rest * (l.manies + part*dm*dm)
	l.tooks = rest * (l.tooks + part*dt*dt)
	l.both = rest * (l.both + part*dm*dt)
}

// forget forgets the requests.
func (m *met) forget() { *m = met{quiet: m.quiet, over: m.over} }

// noLine reports whether it is sure that there is no line. As long as fewer leave than come,
// it is not, as those that leave first are the quick ones. If the limit binds and more calls
// come than were ever served, the handler may just have begun to share its processors between
// too many: then the numbers halfway have to say the same.
func (a *adaptiveLimit) noLine(w *window) bool {
	return w.rate()*w.latency() >= leaving*w.level() && a.met.came.differs() && a.met.came.flat() &&
		(!a.calm.bound || a.known(w) || a.met.half.flat())
}

// differs reports whether the numbers differ enough to tell. They do once the latency has
// changed, not where a limit binds.
func (l *leastSquares) differs() bool {
	return l.n >= leastArm && l.manies >= apartFor*apartFor*l.many*l.many
}

// flat reports whether requests surely take as long where the number is small as where it is
// large, with two standard errors. Of one number alone nothing is sure: 0/0 is not a number.
func (l *leastSquares) flat() bool {
	slope := l.both / l.manies
	chance := math.Sqrt(math.Max(0, l.tooks-slope*l.both) / (l.manies * l.n))
	return (math.Abs(slope)+2*chance)*l.many < explained*l.took
}
