package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// An exam is what a scenario asks of a client beyond what it measures, see
// judge. A scenario that is not a world has none.
type exam struct {
	short bool // played each time, the others only with -worlds

	// ends is how soon 99 % goodput is to be back after the fault. Where it is
	// set the scenario is a storm, of which much can be saved.
	ends time.Duration
	// perCall is the most attempts per call while the fault lasts; 0: any number.
	perCall float64
}

const sec = time.Second

// aStorm is one that must end within 2 s. Clients may send so many attempts per call.
func aStorm(s *scenario, attempts float64) { s.ends, s.perCall = 2*sec, attempts }

// worlds returns all of them: those that the client may be tuned by, then the
// hold-outs, which it may not.
func worlds() []scenario {
	all := append(storms(), healthy()...)
	all = append(all, partial()...)
	all = append(all, otherServers()...)
	all = append(all, fleets()...)
	all = append(all, seldom(all)...)
	return append(all, heldOut()...)
}

// storms are those in which the service cannot do what is asked.
func storms() []scenario {
	return []scenario{
		base("stall", "a stall of 10 s at 0.7", func(s *scenario) { s.script, s.short = stalled, true; aStorm(s, 0.4) }),
		base("drop", "four of five workers gone for 10 s at 0.7", func(s *scenario) { s.script, s.short = dropped, true; aStorm(s, 0.4) }),
		base("spike", "twice the load of 0.8 for 10 s", func(s *scenario) { s.load, s.spike, s.short = 0.8, 2, true; aStorm(s, 0.7) }),
		base("stall.5s", "a stall of 5 s at 0.7", func(s *scenario) { s.fault, s.script = 5*sec, stalled; aStorm(s, 0.4) }),
		base("stall.then-300ms", "a stall of 10 s, then answers 300 ms later for good", func(s *scenario) {
			s.script, s.short = during(0, workers(0), allOf(workers(s.workers), later(0.25, 0.35))), true
			aStorm(s, 0.4)
		}),
		base("stall.then-600ms", "a stall of 10 s at 0.5, then answers 600 ms later for good", func(s *scenario) {
			s.load, s.script = 0.5, during(0, workers(0), allOf(workers(s.workers), later(0.55, 0.65)))
			aStorm(s, 0.4)
		}),
		base("stall.one-client", "a stall of 10 s, one client with all the load", func(s *scenario) { s.clients, s.script = 1, stalled; aStorm(s, 0.4) }),
		base("stall.no-retries", "a stall of 10 s, one attempt per call", func(s *scenario) { s.attempts = 1; s.script = stalled }),
		base("stall.posts", "a stall of 10 s, POST only", func(s *scenario) { s.method, s.script = "POST", stalled; aStorm(s, 0.4) }),
		base("stall.mixed-deadlines", "a stall of 10 s, calls may take 1, 3 or 10 s", func(s *scenario) {
			s.deadlines, s.script = []time.Duration{sec, 3 * sec, 10 * sec}, stalled
			aStorm(s, 0.4)
		}),
		base("stall.deadline-5s", "a stall of 10 s, no limit of an attempt, 5 s for a call", func(s *scenario) { s.timeout, s.script = 0, stalled; aStorm(s, 0.4) }),
		base("stall.deadline-1s", "a stall of 10 s, no limit of an attempt, 1 s for a call", func(s *scenario) {
			s.timeout, s.deadline, s.script = 0, sec, stalled
			aStorm(s, 0.4)
		}),
		base("stall.deadline-400ms", "a stall of 10 s, no limit of an attempt, 400 ms for a call", func(s *scenario) {
			s.timeout, s.deadline, s.script = 0, 400*time.Millisecond, stalled
			aStorm(s, 0.4)
		}),
		base("stall.no-limit", "a stall of 10 s, no limit at all, who waits for 5 s has gone", func(s *scenario) {
			s.timeout, s.noContext, s.script = 0, true, stalled
			aStorm(s, 0.4)
		}),
		base("drop.no-limit", "four of five workers gone for 10 s, no limit at all, who waits for 5 s has gone", func(s *scenario) {
			s.timeout, s.noContext, s.script = 0, true, dropped
			aStorm(s, 0.4)
		}),
		base("brownout", "work takes five times as long for a minute, at 0.7", func(s *scenario) {
			s.fault, s.script = 60*sec, during(0, times(5), times(1))
			aStorm(s, 0.4)
		}),
		base("half", "half of the workers gone for a minute at 0.7", func(s *scenario) {
			s.workers, s.mean, s.fault = 4, 16*time.Millisecond, 60*sec
			s.script = during(0, workers(2), workers(4))
			aStorm(s, 0.75)
		}),
		base("ramp", "load from 0.5 to 1.5 of the capacity in a minute, then back", func(s *scenario) {
			s.fault, s.load = 60*sec, 0.5
			s.shape = func(at time.Duration) float64 {
				if at < 8*sec || at >= 68*sec {
					return 1
				}
				return 1 + 2*(at-8*sec).Seconds()/60
			}
			aStorm(s, 0.95)
		}),
		base("cold", "refused for 3 s, then a fifth of the capacity, and all of it after 20 s", func(s *scenario) {
			s.fault, s.ends, s.short = 3*sec, 15*sec, true // it can do what is asked after 12.5 s
			s.script = func(s *scenario) []event {
				all := []event{{s.calm, 0, allOf(refuses, times(5))}, {s.calm + s.fault, 0, accepts}}
				for i := range 20 {
					all = append(all, event{s.calm + s.fault + time.Duration(i+1)*sec, 0, times(1 / (0.2 + 0.04*float64(i+1)))})
				}
				return all
			}
		}),
		base("herd", "refused for 10 s, and all who were are back at once, since a call may take 20 s", func(s *scenario) {
			s.deadline, s.script = 20*sec, during(0, refuses, accepts)
			s.ends = 2 * sec
		}),
		base("outage.30s", "connections refused for 30 s", func(s *scenario) { s.fault, s.ends, s.script = 30*sec, 2*sec, during(0, refuses, accepts) }),
		base("outage.dns", "no such host for 30 s", func(s *scenario) { s.fault, s.ends, s.script = 30*sec, 2*sec, during(0, unknownHost, accepts) }),
		base("outage.10min", "connections refused for 10 minutes, 20 clients", func(s *scenario) {
			s.fault, s.clients, s.load, s.ends, s.script = 600*sec, 20, 0.5, 2*sec, during(0, refuses, accepts)
		}),
		base("hang.10min", "all hang for 10 minutes, 20 clients", func(s *scenario) {
			s.fault, s.clients, s.load, s.script = 600*sec, 20, 0.5, during(0, flawed(flaws{hang: 1}), flawed(flaws{}))
			s.ends, s.perCall = 2*sec, 0.4
		}),
		base("errors.10s", "all fail at once for 10 s", func(s *scenario) {
			s.ends, s.short, s.script = 2*sec, true, during(0, flawed(flaws{fail: 1}), flawed(flaws{}))
		}),
		base("hops.errors", "two hops down all fail at once for 10 s", func(s *scenario) {
			s.hops, s.load, s.ends, s.script = 2, 0.5, 2*sec, during(0, flawed(flaws{fail: 1}), flawed(flaws{}))
		}),
		base("hops.stall", "two hops down a stall of 10 s", func(s *scenario) { s.hops, s.script = 2, stalled; aStorm(s, 0.4) }),
		base("llm.stall", "two clients, one call a second, work of 5 to 30 s in 25 workers, a stall of a minute", func(s *scenario) {
			s.clients, s.rate, s.workers, s.mean, s.work = 2, 1, 25, 17500*time.Millisecond, wide
			s.timeout, s.deadline, s.fault, s.calm, s.after = 60*sec, 200*sec, 60*sec, 120*sec, 400*sec
			s.script = stalled
		}),
	}
}

// healthy are those in which the service can do what is asked: no call is to be
// delayed, and every answer that would arrive without a library arrives.
func healthy() []scenario {
	return []scenario{
		base("later.600ms", "answers 600 ms later for good, limit 1 s", func(s *scenario) { s.fault, s.script, s.short = sec, from(0, later(0.55, 0.65)), true }),
		base("later.300ms", "answers 300 ms later for good, limit 1 s", func(s *scenario) { s.fault, s.script = sec, from(0, later(0.25, 0.35)) }),
		base("later.600ms-20s", "answers 600 ms later for 20 s, limit 1 s", func(s *scenario) { s.fault, s.script = 20*sec, during(0, later(0.55, 0.65), punctual) }),
		base("later.900ms-20s", "answers 900 ms later for 20 s at 0.3, limit 1 s", func(s *scenario) {
			s.fault, s.load, s.script = 20*sec, 0.3, during(0, later(0.88, 0.93), punctual)
		}),
		base("later.no-retries", "answers 600 ms later for good, one attempt per call", func(s *scenario) {
			s.attempts = 1
			s.fault, s.script = sec, from(0, later(0.55, 0.65))
		}),
		base("later.steps", "150 ms later each 2 s up to 750 ms, then as before", func(s *scenario) {
			s.fault = 20 * sec
			s.script = func(s *scenario) []event {
				all := []event{{s.calm + s.fault, 0, punctual}}
				for i := range 5 {
					d := 0.15 * float64(i+1)
					all = append(all, event{s.calm + time.Duration(2*i)*sec, 0, later(d-0.02, d+0.02)})
				}
				return all
			}
		}),
		base("later.creeping", "1 ms later each second for 10 minutes", func(s *scenario) {
			s.rate, s.fault, s.after = 50, 600*sec, 10*sec
			s.script = func(s *scenario) (all []event) {
				for i := range 600 {
					all = append(all, event{s.calm + time.Duration(i)*sec, 0, later(0.001*float64(i), 0.001*float64(i))})
				}
				return all
			}
		}),
		base("later.exponential", "answers 80 ms later on average for a minute", func(s *scenario) {
			s.fault = 60 * sec
			s.script = during(0, func(s *state) {
				s.extra = func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(80*time.Millisecond)) }
			}, punctual)
		}),
		base("slower.within", "work takes five times as long for a minute, at 0.15", func(s *scenario) {
			s.fault, s.load, s.script = 60*sec, 0.15, during(0, times(5), times(1))
		}),
		base("slower.twice", "work takes twice as long for good, at 0.35", func(s *scenario) { s.fault, s.load, s.script = sec, 0.35, from(0, times(2)) }),
		base("faster", "work of 200 ms takes a tenth for good", func(s *scenario) {
			s.workers, s.mean, s.rate, s.fault, s.script = 50, 200*time.Millisecond, 120, sec, from(0, times(0.1))
		}),
		base("slow", "answers of 600 to 800 ms, limit 1 s", func(s *scenario) {
			s.fault, s.workers, s.mean, s.work, s.rate, s.short = 0, 1000, 700*time.Millisecond, narrow, 100, true
		}),
		base("bimodal", "answers of 10 ms, one in five of 2 s, limit 3 s", func(s *scenario) {
			s.workers, s.rate, s.fault, s.timeout, s.deadline = 1000, 100, 0, 3*sec, 12*sec
			s.mean, s.work = 10*time.Millisecond, fifthOf2s
		}),
		base("lowered", "answers of 100 to 200 ms, the limit lowered live from 1 s to 300 ms", func(s *scenario) {
			s.fault, s.workers, s.mean, s.work, s.rate, s.lowered = sec, 1000, 150*time.Millisecond, narrow, 100, 300*time.Millisecond
		}),
		base("pauses.200ms", "a pause of 200 ms each 2 s", func(s *scenario) {
			s.fault, s.script = 40*sec, again(0, 2*sec, 200*time.Millisecond, workers(0), workers(s.workers))
		}),
		base("pauses.1500ms", "a pause of 1.5 s each 10 s at 0.6", func(s *scenario) {
			s.fault, s.load, s.script = 40*sec, 0.6, again(0, 10*sec, 1500*time.Millisecond, workers(0), workers(s.workers))
		}),
		base("flapping", "a second stalled, a second not, at 0.35", func(s *scenario) {
			s.fault, s.load, s.short, s.script = 30*sec, 0.35, true, again(0, 2*sec, sec, workers(0), workers(s.workers))
		}),
		base("flapping.refused", "a second refused, a second not, at 0.35", func(s *scenario) {
			s.fault, s.load, s.script = 30*sec, 0.35, again(0, 2*sec, sec, refuses, accepts)
		}),
		base("blips", "for a second in ten answers 0.9 to 1.3 s later, limit 1 s", func(s *scenario) {
			s.fault, s.load, s.script = 40*sec, 0.5, again(0, 10*sec, sec, later(0.9, 1.3), punctual)
		}),
		base("on-off", "1.4 of the capacity for 1 s, nothing for 1.5 s", func(s *scenario) {
			s.fault, s.load = 0, 1.4
			s.shape = func(at time.Duration) float64 {
				if at%(2500*time.Millisecond) < sec {
					return 1
				}
				return 0
			}
		}),
		base("day-and-night", "load between 0.2 and 0.9, a day of 30 s", func(s *scenario) {
			s.load, s.fault, s.after = 1, 0, 82*sec
			s.shape = func(at time.Duration) float64 { return 0.55 - 0.35*math.Cos(2*math.Pi*at.Seconds()/30) }
		}),
		base("batch", "300 calls at once from one client, 100 workers", func(s *scenario) {
			s.clients, s.burst, s.rate, s.workers, s.fault, s.short = 1, 300, 60, 100, 0, true
		}),
		base("batch.slow", "200 calls at once from one idle client, 1,000 workers of 300 ms", func(s *scenario) {
			s.clients, s.burst, s.rate, s.workers, s.mean, s.work, s.fault = 1, 200, 20, 1000, 300*time.Millisecond, narrow, 0
		}),
		base("llm", "two clients, one call a second, work of 5 to 30 s, limit 60 s", func(s *scenario) {
			s.clients, s.rate, s.workers, s.mean, s.work = 2, 1, 200, 17500*time.Millisecond, wide
			s.timeout, s.deadline, s.fault, s.calm, s.after = 60*sec, 200*sec, 0, 60*sec, 240*sec
		}),
		base("llm.tight", "two clients, one call a second, work of 18 to 30 s, limit 35 s", func(s *scenario) {
			s.clients, s.rate, s.workers, s.mean, s.work = 2, 1, 200, 24*sec, narrow
			s.timeout, s.deadline, s.fault, s.calm, s.after = 35*sec, 200*sec, 0, 60*sec, 240*sec
		}),
	}
}

// narrow work is a quarter more or less than the mean.
func narrow(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(float64(mean) * (0.75 + 0.5*r.Float64())) }
}

// wide work is 2/7 to 12/7 of the mean.
func wide(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(float64(mean) * (2 + 10*r.Float64()) / 7) }
}

// fifthOf2s work is what is given, or for one in five 2 s.
func fifthOf2s(usual time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		if r.IntN(5) == 0 {
			return 2 * sec
		}
		return usual
	}
}
