package guard

import (
	"math"
	"time"
)

// An epoch is a quarter of the scale, or as much of it as a judgement needs.
type epoch struct {
	start     time.Duration
	successes int
	overtaken int           // of them, by one that was sent much later
	fastest   time.Duration // of them
	late      time.Duration // the fastest of those that came T/8 or more after the start; 0: unknown
	inFlight  int           // at the end

	took, queued time.Duration // sums of the successes; queued is what the service says
}

const enough = 5 // successes to judge by

func epochOf(t time.Duration) time.Duration { return max(leastLook, t/4) }

// add counts a success that took so long, of which so long in the queue of the service,
// and by how much the newest that succeeded was sent later.
func (e *epoch) add(now, took, queued, later, t time.Duration) {
	e.took += took
	e.queued += queued
	if e.successes == 0 || took < e.fastest {
		e.fastest = took
	}
	if now-e.start >= t/8 && (e.late == 0 || took < e.late) {
		e.late = took
	}
	e.successes++
	if later > t/16 {
		e.overtaken++
	}
}

// turn ends the epoch if it is over, and engages if there is reason to.
func (l *Limiter) turn(s Scale, now time.Duration, inFlight int) {
	e, before, since := l.epoch, l.before, now-l.beforeAt
	took := now - e.start
	if took < epochOf(s.T) || e.successes < enough && l.refusals.inEpoch == 0 && took < s.T {
		return
	}
	l.weigh(now, inFlight)
	l.epoch, l.refusals.inEpoch = epoch{start: now}, 0
	if e.successes < enough {
		l.growing = 0
		return
	}
	e.inFlight = inFlight
	l.before, l.beforeAt = e, now
	l.overflow(e, s, now, took)
	if l.growing++; !e.queues(before, s.T) {
		l.growing = 0
	}
	if l.growing >= 2 && !l.Engaged() && e.goesOn(s.T) && e.outgrows(before, since, s.T) {
		l.engage(now, alone)
		l.trial = true
	}
}

// queues reports whether this looks like a queue that grows: even the fastest response
// became slower, hardly any was overtaken, and no fewer are in flight.
func (e epoch) queues(before epoch, t time.Duration) bool {
	return before.successes > 0 && e.fastest >= before.fastest+t/20 &&
		e.overtaken <= e.successes/8 && e.inFlight >= before.inFlight*7/8
}

// goesOn reports whether responses became slower within the epoch too. A service that
// became slower at once has taken as long ever since.
func (e epoch) goesOn(t time.Duration) bool { return e.late >= e.fastest+t/40 }

// outgrows reports whether responses that took less than t will take more at this rate
// if they are sent now. Those that come now were sent when the queue was shorter.
func (e epoch) outgrows(before epoch, since, t time.Duration) bool {
	slope := float64(e.fastest-before.fastest) / float64(since)
	return e.fastest < t && float64(e.fastest) > float64(t)*(1-slope)
}

// rate is the number of calls per second, averaged over some seconds.
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
