package limiter

import (
	"math"
	"time"
)

const (
	probeAfter  = time.Second // of shedding without a break
	probeEvery  = 10 * time.Second
	probeRarest = 16 * probeEvery
	probeCohort = 32
	probeEnough = 12  // of the cohort are enough if their latency
	probePlain  = 2.5 // over the baseline is that
	probeLeast  = 5   // of the cohort must have returned
)

// probe is a cohort of requests that verifies the baseline.
type probe struct {
	on       bool
	number   int           // of this probe, which its requests carry
	pause    time.Duration // before it
	started  int
	done     int
	live     int // of those, whose client still waited
	at       time.Duration
	took     float64
	expected float64                          // took, if each had taken the baseline of its route
	gone     struct{ took, expected float64 } // of the rest
}

// admitted returns the number of the probe that a request admitted now belongs
// to, or 0.
func (a *adaptiveLimit) admitted() int {
	if !a.probe.on || a.probe.started >= probeCohort {
		return 0
	}
	a.probe.started++
	return a.probe.number
}

// probes starts a probe if one is due.
func (a *adaptiveLimit) probes(now time.Duration, most, waste float64, inflated bool) bool {
	pause, rest := max(a.probePause, probeEvery), now-a.probeDone
	due := rest >= probeEvery && a.shedding > 0 && now-a.shedding >= probeAfter && most >= .9*a.enough()
	// Work is wasted although the latency looks normal: the baseline may be wrong.
	wrong := waste >= wasteful && !inflated
	if a.verified {
		wrong = wrong && rest >= pause
	} else {
		wrong = wrong && rest >= probeEvery/10
		pause = probeEvery
	}
	if a.windows <= learning || !due && !wrong {
		return false
	}
	a.probe = probe{on: true, number: a.probe.number + 1, at: now, pause: pause}
	a.limit = math.Max(1, math.Min(a.busy, a.bounded(a.limit))/2)
	return true
}

// probed takes in a completion during a probe. Only the cohort counts: requests
// admitted before it waited in a full handler.
func (a *adaptiveLimit) probed(c Completion, route *route) bool {
	p := &a.probe
	if c.Probe == p.number {
		p.done++
		took, expected := float64(c.Took), route.expected(float64(c.Took))
		if c.Gone {
			p.gone.took += took
			p.gone.expected += expected
		} else {
			p.live++
			p.took += took
			p.expected += expected
		}
	}
	// The first to return are the fastest. If they are slow, so are the others.
	plain := p.live >= probeEnough && p.took > probePlain*p.expected
	patience := max(slowTime, time.Duration(10*a.baseline))
	if p.done < probeLeast { // too few to learn from
		patience = max(patience, probeEvery)
	}
	if !plain && p.done < probeCohort && c.At-p.at <= patience {
		return false
	}
	a.probePause = probeEvery
	if p.live < probeLeast {
		// Their clients left because of the wait before.
		p.took += p.gone.took
		p.expected += p.gone.expected
	}
	if p.done >= probeLeast && p.expected > 0 {
		ratio := p.took / p.expected
		// A baseline that was wrong needs another probe: requests admitted before
		// the cohort may have slowed it down.
		known := a.verified
		a.verified = ratio > .7 && ratio < 1.5
		if a.verified || known && ratio > .5 && ratio < 2 {
			ratio = math.Sqrt(ratio) // the noise of one cohort
			a.probePause = min(2*p.pause, probeRarest)
		}
		a.rescale(ratio)
	}
	a.probe = probe{number: p.number}
	a.probeDone = c.At
	a.limit = a.bounded(tolerance * a.busy)
	a.grown = 0
	a.reset(c.At)
	return true
}
