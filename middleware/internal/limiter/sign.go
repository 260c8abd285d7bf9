package limiter

import "math"

const (
	answered  = .75 // of those that come: fewer, while the number in flight rises, may stand in a line
	aPause    = .25 // part of a window without an answer
	byTurns   = .05 // part of the squared latency that the next one differs by: less in a line
	byChance  = .3  // part of it, from which on there is no order
	turnCount = 10  // latencies that this is averaged over
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

// random reports whether requests surely do not wait for each other: one takes long, the
// next one does not.
func (u *succession) random() bool { return u.apart > byChance*u.mean*u.mean }

// sign looks for a sign of a line: while the number in flight rises, fewer leave than
// come, each about as late as the one before.
func (a *adaptiveLimit) sign(w *window) {
	rise := w.more()
	if w.gap.Seconds() > aPause*w.seconds { // they may all take as long as that
		came := a.asked * w.gap.Seconds()
		rise -= came + 2*math.Sqrt(came)
	}
	switch c := &a.calm; {
	case rise > math.Max(steadily*w.level(), 4):
		c.lags = w.all < answered*(w.all+rise) && a.succession.orderly(a.trials.base)
	case w.useful()*w.seconds >= answered*w.asked, !a.succession.orderly(a.trials.base):
		c.lags = false
	}
}
