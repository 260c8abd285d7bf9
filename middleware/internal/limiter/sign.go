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

// met compares how long requests take with how many others each of them met when it
// came. In a line they take the longer the more they met. They are weighed so that the
// last metCount requests count most.
type met struct {
	n           float64
	many, took  float64       // means
	manies      float64       // variance of how many they met
	tooks       float64       // variance of how long they took
	both        float64       // covariance
	quiet, over time.Duration // from when to when nobody was answered
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
	m.n = math.Min(m.n+1, metCount)
	part := 1 / m.n
	rest := 1 - part
	dm, dt := float64(c.Met)-m.many, c.Took.Seconds()-m.took
	m.many += part * dm
	m.took += part * dt
	m.manies = rest * (m.manies + part*dm*dm)
	m.tooks = rest * (m.tooks + part*dt*dt)
	m.both = rest * (m.both + part*dm*dt)
}

// forget forgets the requests.
func (m *met) forget() { *m = met{quiet: m.quiet, over: m.over} }

// noLine reports whether it is sure that there is no line. As long as fewer leave than come,
// it is not, as those that leave first are the quick ones.
func (a *adaptiveLimit) noLine(w *window) bool {
	return w.rate()*w.latency() >= leaving*w.level() && a.met.noLine()
}

// noLine reports whether requests surely take as long where they meet few others as where
// they meet many: by least squares, with two standard errors. It needs numbers that
// differ, as they do once the latency has changed, not those of a limit that binds.
func (m *met) noLine() bool {
	if m.n < leastArm || m.manies < apartFor*apartFor*m.many*m.many {
		return false
	}
	slope := m.both / m.manies
	chance := math.Sqrt(math.Max(0, m.tooks-slope*m.both) / (m.manies * m.n))
	return (math.Abs(slope)+2*chance)*m.many < explained*m.took
}
