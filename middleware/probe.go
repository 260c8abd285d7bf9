package middleware

import (
	"math"
	"time"
)

const (
	probeAfter  = time.Second // of shedding without a break
	probeEvery  = 10 * time.Second
	probeRarest = 16 * probeEvery
	probeCohort = 32
	probeEnough = 12  // of the cohort that make up for the rest if their latency
	probePlain  = 2.5 // over the base is that
	probeLeast  = 5   // of the cohort that must have returned to be believed
)

// probe is a cohort of requests by which the base is verified.
type probe struct {
	on       bool
	number   int           // of this probe, by which its requests are told from others
	pause    time.Duration // before it
	started  int
	done     int
	live     int // of those, whom somebody waited for
	at       time.Duration
	took     float64
	expected float64                          // took, had each the base of its route
	gone     struct{ took, expected float64 } // of the rest
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

// probes starts a probe if one is due.
func (a *adaptive) probes(now time.Duration, most, waste float64, inflated bool) bool {
	pause, rest := max(a.probePause, probeEvery), now-a.probeDone
	due := rest >= probeEvery && a.shedding > 0 && now-a.shedding >= probeAfter && most >= .9*a.enough()
	// Work is wasted although the latency looks normal: it may be the base that
	// is wrong.
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

// probed takes in a completion during a probe, of which only the cohort
// counts: requests from before it waited in a handler that was full.
func (a *adaptive) probed(c completion, route *route) bool {
	p := &a.probe
	if c.probe == p.number {
		p.done++
		took, expected := float64(c.took), route.expected(float64(c.took))
		if c.dropped {
			p.gone.took += took
			p.gone.expected += expected
		} else {
			p.live++
			p.took += took
			p.expected += expected
		}
	}
	// The first to return are the fastest, so if even they are slow there is no
	// need to wait for the others.
	plain := p.live >= probeEnough && p.took > probePlain*p.expected
	patience := max(slowTime, time.Duration(10*a.base))
	if p.done < probeLeast { // one that ends with nothing learnt would be in vain
		patience = max(patience, probeEvery)
	}
	if !plain && p.done < probeCohort && c.at-p.at <= patience {
		return false
	}
	a.probePause = probeEvery
	if p.live < probeLeast {
		// They went because of what they had waited before.
		p.took += p.gone.took
		p.expected += p.gone.expected
	}
	if p.done >= probeLeast && p.expected > 0 {
		ratio := p.took / p.expected
		// A base that was off is not verified before it is found again: what was
		// in the handler before may have slowed down the cohort.
		known := a.verified
		a.verified = ratio > .7 && ratio < 1.5
		if a.verified || known && ratio > .5 && ratio < 2 {
			ratio = math.Sqrt(ratio) // the noise of one cohort
			a.probePause = min(2*p.pause, probeRarest)
		}
		a.rescale(ratio)
	}
	a.probe = probe{number: p.number}
	a.probeDone = c.at
	a.limit = a.bounded(tolerance * a.busy)
	a.grown = 0
	a.reset(c.at)
	return true
}
