package guard

import (
	"math"
	"time"
)

// An epoch is a quarter of the scale, or as much of it as a judgement needs.
type epoch struct {
	start     time.Duration
	responses int
	fastest   time.Duration
}

const enough = 3 // responses to judge by

func epochOf(t time.Duration) time.Duration { return max(leastLook, t/4) }

func (e *epoch) add(took time.Duration) {
	if e.responses++; e.responses == 1 || took < e.fastest {
		e.fastest = took
	}
}

// turn ends the epoch if it is over, and engages if there is reason to.
func (l *Limiter) turn(s Scale, now time.Duration, inFlight int) {
	e := l.epoch
	took := now - e.start
	if took < epochOf(s.T) || e.responses < enough && l.refusals.inEpoch == 0 && took < s.T {
		return
	}
	l.weigh(now, inFlight)
	l.epoch, l.refusals.inEpoch = epoch{start: now}, 0
	if !s.Guessed { // timeouts will tell
		return
	}
	if l.growing++; e.responses < enough || !e.outgrows(l.before, now-l.beforeAt, s.T) {
		l.growing = 0
	}
	if e.responses >= enough {
		l.before, l.beforeAt = e, now
	}
	if l.growing >= 2 && !l.Engaged() {
		l.engage(now, float64(inFlight)/2)
	}
}

// outgrows reports whether even the fastest response became slower by a tenth,
// and so fast that what is sent now will take more than t.
func (e epoch) outgrows(before epoch, since, t time.Duration) bool {
	if before.responses == 0 || e.fastest <= before.fastest*11/10 {
		return false
	}
	slope := float64(e.fastest-before.fastest) / float64(since)
	return float64(e.fastest)*(1+slope) > float64(t)
}

// rate is how many calls there are per second, over some seconds.
type rate struct {
	perSecond   float64
	first, from time.Duration
	n           int // since from
}

const rateOver = 4 * time.Second

func (r *rate) add(now time.Duration, n int) {
	if r.first == 0 {
		r.first, r.from = now, now
		return
	}
	r.n += n
	took := now - r.from
	if took < rateOver/16 || r.n < 4 && took < rateOver {
		return
	}
	over := min(max(now-r.first, time.Second), rateOver)
	r.perSecond += (float64(r.n)/took.Seconds() - r.perSecond) * (1 - math.Exp(-took.Seconds()/over.Seconds()))
	r.n, r.from = 0, now
}
