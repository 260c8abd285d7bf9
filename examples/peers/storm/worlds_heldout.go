package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// heldOut are worlds that were written down before the client was tuned, and
// that it is not to be tuned by.
func heldOut() []scenario {
	list := []scenario{
		base("held.two-stalls", "a stall of 5 s, 3 s of service, a stall of 5 s", func(s *scenario) {
			s.fault, s.short = 13*sec, true
			s.script = again(0, 8*sec, 5*sec, workers(0), workers(s.workers))
			aStorm(s, 0.5)
		}),
		base("held.sawtooth", "answers ever later up to 950 ms, then punctual again, each 10 s", func(s *scenario) {
			s.fault, s.load, s.short = 40*sec, 0.5, true
			s.script = func(s *scenario) (all []event) {
				for i := range 80 {
					d := 0.095 * float64(i%20) / 2
					all = append(all, event{s.calm + time.Duration(i)*sec/2, 0, later(d, d+0.005)})
				}
				return append(all, event{s.calm + s.fault, 0, punctual})
			}
		}),
		base("held.slow-errors", "all fail after 700 ms for 10 s, limit 1 s", func(s *scenario) {
			s.ends, s.script = 2*sec, during(0, allOf(flawed(flaws{fail: 1}), slowly(700*time.Millisecond)), allOf(flawed(flaws{}), slowly(0)))
		}),
		base("held.limit-3s", "a stall of 10 s, limit 3 s, 15 s for a call", func(s *scenario) {
			s.timeout, s.deadline, s.script = 3*sec, 15*sec, stalled
			aStorm(s, 0.6)
		}),
		base("held.limit-200ms", "a stall of 10 s, limit 200 ms, 1 s for a call, work of 5 ms", func(s *scenario) {
			s.timeout, s.deadline, s.mean, s.workers, s.script = 200*time.Millisecond, sec, 5*time.Millisecond, 2, stalled
			aStorm(s, 0.4)
		}),
		base("held.lognormal-drop", "four of five workers gone for 10 s, lognormal work", func(s *scenario) { s.work, s.script = lognormal, dropped; aStorm(s, 0.4) }),
		base("held.crowd", "three times the load of 0.6 for 20 s", func(s *scenario) { s.load, s.spike, s.fault = 0.6, 3, 20*sec; aStorm(s, 0.7) }),
		base("held.one-call-10s", "2,000 clients of a call in 10 s, one of two replicas hangs for a minute", func(s *scenario) {
			s.clients, s.rate, s.zones, s.calm, s.fault = 2000, 200, 2, 20*sec, 60*sec
			s.script = during(0, flawed(flaws{hang: 1}), flawed(flaws{}))
		}),
		base("held.uneven", "a stall of 10 s, calls may take 300 ms or 30 s", func(s *scenario) {
			s.deadlines, s.script = []time.Duration{300 * time.Millisecond, 30 * sec}, stalled
			aStorm(s, 0.5)
		}),
		base("held.recovers-slowly", "one worker for 5 s, two for 5 s, three, four, five, at 0.5", func(s *scenario) {
			s.load, s.fault = 0.5, 20*sec
			s.script = func(s *scenario) (all []event) {
				for i := range 5 {
					all = append(all, event{s.calm + time.Duration(5*i)*sec, 0, workers(i + 1)})
				}
				return all
			}
			aStorm(s, 1)
		}),
		base("held.half-refused", "half of the replicas refuse for 30 s, at 0.3", func(s *scenario) {
			s.zones, s.workers, s.load, s.fault = 4, 2, 0.3, 30*sec
			s.script = both(during(0, refuses, accepts), during(1, refuses, accepts))
		}),
		base("held.spiky", "bursts of 40 calls at 0.8 of the capacity, a tenth of the answers 400 ms later", func(s *scenario) {
			s.burst, s.load, s.fault, s.script = 40, 0.8, 20*sec, during(0, sometimes(0.1, 0.4, 0.4), punctual)
		}),
		base("held.stall-6s", "a stall of 6 s at 0.85, 12 clients", func(s *scenario) {
			s.load, s.clients, s.fault, s.script = 0.85, 12, 6*sec, stalled
			aStorm(s, 0.5)
		}),
		base("held.drop-mixed", "three of five workers gone for 20 s at 0.75, calls may take 2 or 8 s", func(s *scenario) {
			s.load, s.fault, s.deadlines = 0.75, 20*sec, []time.Duration{2 * sec, 8 * sec}
			s.script = during(0, workers(2), workers(s.workers))
			aStorm(s, 0.7)
		}),
		base("held.clients-400", "work takes three times as long for 15 s at 0.6, 400 clients", func(s *scenario) {
			s.load, s.clients, s.fault, s.script = 0.6, 400, 15*sec, during(0, times(3), times(1))
			s.perCall = 1.1
		}),
		base("held.restart", "refused for 20 s, then half of the workers for 10 s at 0.6, 40 clients", func(s *scenario) {
			s.load, s.workers, s.clients, s.fault, s.ends = 0.6, 4, 40, 20*sec, 12*sec
			s.script = func(s *scenario) []event {
				return []event{{s.calm, 0, refuses}, {s.calm + s.fault, 0, allOf(accepts, workers(2))}, {s.calm + s.fault + 10*sec, 0, workers(4)}}
			}
		}),
		base("held.in-flight-drop", "four of five workers gone for 15 s before in-flight", func(s *scenario) {
			s.server, s.fault, s.script = inFlight, 15*sec, dropped
		}),
		base("held.errors-flapping", "all fail at once for 1.5 s of 6 s at 0.5", func(s *scenario) {
			s.load, s.fault = 0.5, 42*sec
			s.script = again(0, 6*sec, 1500*time.Millisecond, flawed(flaws{fail: 1}), flawed(flaws{}))
		}),
	}
	for i := range uint64(40) {
		list = append(list, random(i))
	}
	for i := range list {
		list[i].holdOut = true
	}
	return list
}

// random is a service without a queue whose latency, hangs and failures change
// at random.
func random(seed uint64) scenario {
	r := rand.New(rand.NewPCG(seed, 7))
	clients, rate := []int{1, 2, 5, 20, 100}[r.IntN(5)], 20+180*r.Float64()
	var changes []change
	var lasts []time.Duration
	for range 10 {
		low := 0.9 * r.Float64() * r.Float64()
		lasts = append(lasts, time.Duration((2+6*r.Float64())*float64(sec)))
		f, high := flaws{}, min(low+1.2*r.Float64()*r.Float64(), 1.3)
		switch r.IntN(4) {
		case 0:
			f.hang = 0.4 * r.Float64()
		case 1:
			f.fail = 0.4 * r.Float64()
		}
		changes = append(changes, allOf(later(low, high), flawed(f)))
	}
	return base("held.random-"+fmt.Sprint(seed), "random latencies, hangs and failures", func(s *scenario) {
		s.workers, s.mean, s.rate, s.clients, s.fault, s.after = 20, 5*time.Millisecond, rate, clients, 60*sec, 10*sec
		s.script = func(s *scenario) []event {
			all, at := []event{}, s.calm
			for i, c := range changes {
				if at < s.calm+s.fault {
					all = append(all, event{at, 0, c})
				}
				at += lasts[i]
			}
			return append(all, event{s.calm + s.fault, 0, allOf(punctual, flawed(flaws{}))})
		}
	})
}
