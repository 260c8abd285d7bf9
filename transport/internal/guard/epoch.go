package guard

import (
	"math"
	"math/bits"
	"time"
)

// An epoch is what was seen in a period at whose end the limiter judges.
type epoch struct {
	start               time.Duration
	fast, slow          int // successes
	late                int // timeouts
	shed                int
	responses           int
	fastest             time.Duration // response
	successes, finished int           // in attempts, each for the ones not watched too
}

const (
	shortest = 100 * time.Millisecond // epoch
	enough   = 1000                   // attempts per second to watch
)

func epochOf(t time.Duration) time.Duration { return max(shortest, t/4) }

// turn ends the epoch if it is over: it updates the rates, and engages or halves
// the window if there is reason to.
func (l *Limiter) turn(now, t time.Duration) {
	e := l.epoch
	took := now - e.start
	if took < epochOf(t) {
		return
	}
	l.epoch = epoch{start: now}
	weight := 1 - math.Exp(-took.Seconds())
	l.attemptRate += (float64(e.finished)/took.Seconds() - l.attemptRate) * weight
	l.successRate += (float64(e.successes)/took.Seconds() - l.successRate) * weight

	queued := e.responses >= 3 && e.fastest > t/2 && e.fastest >= l.fastest*9/10
	l.fastest = e.fastest
	if queued {
		l.standing++
	} else {
		l.standing = 0
	}
	switch {
	case l.open():
		l.sampling.Store(1 << min(bits.Len(uint(l.attemptRate/enough)), 10))
		if l.standing >= 2 {
			l.engage(now)
		}
	case e.fast == 0 && (queued || e.late > e.slow+e.shed):
		l.window = max(l.window/2, shut)
	}
}
