package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A scenario is a service, what befalls it, and who calls it.
type scenario struct {
	id, title string
	kind      kind
	server    string // see fronts.go
	holdOut   bool   // chosen before any constant of ours was, and not to tune by
	quick     bool   // part of -quick
	policies  []string

	settings
	workers int
	mean    time.Duration // of the work of a request
	work    func(mean time.Duration) func(*rand.Rand) time.Duration
	flaws   flaws
	zones   int // servers behind one name; 1 except in the zone scenarios
	hops    int // services in between, with a client each
	clients int
	fleet   []part  // policies of parts of the clients; by default all have the same
	load    float64 // as a share of the capacity
	rate    float64 // calls per second, instead of a load
	spike   float64 // by which the load is multiplied during the fault
	shape   func(at time.Duration) float64
	burst   int // calls that come at once; 0: one

	calm, fault, after time.Duration
	script             script // what befalls the backends

	method    string          // the default is GET
	deadlines []time.Duration // of calls in turn, instead of one
	noContext bool            // calls have no deadline; who waits for longer has gone
	lowered   time.Duration   // the time limit of an attempt, changed live when the fault begins

	exam // see worlds.go
}

// A part of the clients has a policy of its own.
type part struct {
	policy string
	share  float64
}

type kind int8

const (
	storm kind = iota // there is a fault
	quiet             // there is no fault
	tiers             // three services in a row
	hedge             // it is about the tail
)

func (s *scenario) capacity() float64 { // requests per second
	return float64(s.workers*s.zones) / s.mean.Seconds()
}

func (s *scenario) length() time.Duration { return s.calm + s.fault + s.after }

// calls returns the calls per second at the time.
func (s *scenario) calls(at time.Duration) float64 {
	rate := s.rate
	if rate == 0 {
		rate = s.load * s.capacity()
	}
	if s.shape != nil {
		rate *= s.shape(at)
	}
	if s.spike > 0 && at >= s.calm && at < s.calm+s.fault {
		rate *= s.spike
	}
	return rate
}

// stalled lets no work be begun in the first zone while the fault lasts.
func stalled(s *scenario) []event { return during(0, workers(0), workers(s.workers))(s) }

// dropped leaves one worker in the first zone.
func dropped(s *scenario) []event { return during(0, workers(1), workers(s.workers))(s) }

func base(id, title string, change func(*scenario)) scenario {
	s := scenario{
		id: id, title: title, server: naive, settings: common,
		workers: 5, mean: 20 * time.Millisecond, work: exponential, zones: 1, clients: 5, load: 0.7,
		calm: 8 * time.Second, fault: 10 * time.Second, after: 40 * time.Second,
	}
	if change != nil {
		change(&s)
	}
	return s
}

// scenarios returns all of them; quick shortens their phases.
func scenarios(quick bool) []scenario {
	var all []scenario
	add := func(s scenario) { all = append(all, s) }

	for _, server := range []string{naive, ours} {
		add(base("stall."+server, "stall of 10 s at 0.7 of capacity", func(s *scenario) { s.script, s.server, s.quick = stalled, server, true }))
		add(base("drop."+server, "four of five workers gone for 10 s at 0.7", func(s *scenario) { s.script, s.server, s.quick = dropped, server, server == naive }))
		add(base("spike."+server, "twice the load of 0.8 for 10 s", func(s *scenario) { s.load, s.spike, s.server, s.quick = 0.8, 2, server, server == naive }))
	}

	calm := func(id, title string, f flaws) {
		add(base("quiet."+id, title, func(s *scenario) {
			s.kind, s.load, s.flaws, s.quick = quiet, 0.6, f, id == "err20"
			s.calm, s.fault, s.after = 40*time.Second, 0, 0
		}))
	}
	calm("err0", "no errors at 0.6", flaws{})
	calm("err1", "1 % errors at 0.6", flaws{fail: 0.01})
	calm("err5", "5 % errors at 0.6", flaws{fail: 0.05})
	calm("err20", "20 % errors at 0.6", flaws{fail: 0.20})
	calm("hang5", "5 % hangs at 0.6", flaws{hang: 0.05})

	for _, server := range []string{naive, ours} {
		tier := func(id, title string, fail float64) {
			add(base("tiers."+id+"."+server, title, func(s *scenario) {
				s.kind, s.hops, s.server, s.flaws, s.load, s.attempts = tiers, 2, server, flaws{fail: fail}, 0.3, 3
				s.mean, s.workers = 5*time.Millisecond, 2
				s.calm, s.fault, s.after = 30*time.Second, 0, 0
			}))
		}
		tier("fail", "three tiers, the last fails", 1)
		tier("err20", "three tiers, 20 % errors in the last", 0.2)
	}

	add(base("zone.naive", "one of three zones stalls for 10 s at 0.5", func(s *scenario) {
		s.zones, s.workers, s.load, s.script = 3, 2, 0.5, stalled
	}))

	hedged := []string{"none", "evenkeel", "evenkeel-hedge", "hedge-p95", "failsafe-hedge"}
	for _, load := range []float64{0.3, 0.5, 0.7, 0.8} {
		add(base("hedge."+percent(load), "1 % of answers 300 ms late at "+percent(load)+" %", func(s *scenario) {
			s.kind, s.load, s.flaws, s.policies = hedge, load, flaws{slow: 0.01}, hedged
			s.calm, s.fault, s.after = 60*time.Second, 0, 0
		}))
	}
	add(base("hedge.stall", "stall of 10 s at 0.7, with hedging", func(s *scenario) {
		s.script, s.flaws, s.policies = stalled, flaws{slow: 0.01}, hedged
	}))

	out := func(id, title string, change func(*scenario)) {
		add(base("holdout."+id, title, func(s *scenario) { s.script, s.holdOut = stalled, true; change(s) }))
	}
	out("clients3", "stall, 3 clients", func(s *scenario) { s.clients = 3 })
	out("clients20", "stall, 20 clients", func(s *scenario) { s.clients = 20 })
	out("clients200", "stall, 200 clients", func(s *scenario) { s.clients = 200 })
	out("timeout50ms", "stall, attempts limited to 50 ms, work of 5 ms", func(s *scenario) { s.timeout, s.mean, s.workers = 50*time.Millisecond, 5*time.Millisecond, 2 })
	out("timeout5s", "stall, attempts limited to 5 s, calls to 20 s", func(s *scenario) { s.timeout, s.deadline = 5*time.Second, 20*time.Second })
	out("bimodal", "stall, bimodal work", func(s *scenario) { s.work = bimodal })
	out("lognormal", "stall, lognormal work", func(s *scenario) { s.work = lognormal })
	out("slower", "work takes five times as long for 10 s", func(s *scenario) { s.script = during(0, times(5), times(1)) })
	out("half", "stall at 0.35, then half as fast", func(s *scenario) { s.load, s.script = 0.35, during(0, workers(0), allOf(workers(s.workers), times(2))) })
	out("twice", "stall at 0.7, then twice as fast", func(s *scenario) { s.script = during(0, workers(0), allOf(workers(s.workers), times(0.5))) })

	if quick {
		all = slices.DeleteFunc(all, func(s scenario) bool { return !s.quick })
		for i := range all {
			if s := &all[i]; s.kind == storm {
				s.calm, s.fault, s.after = 4*time.Second, 6*time.Second, 12*time.Second
			} else {
				s.calm = 15 * time.Second
			}
		}
	}
	return all
}

// lognormal work has a coefficient of variation of 1.3 (sigma 1).
func lognormal(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		return time.Duration(float64(mean) * math.Exp(r.NormFloat64()-0.5))
	}
}
