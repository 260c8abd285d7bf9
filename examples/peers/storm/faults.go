package main

import (
	"math/rand/v2"
	"net"
	"syscall"
	"time"
)

// A change is what befalls a backend, or its end.
type change func(*state)

// An event is a change at a time after the start.
type event struct {
	at   time.Duration
	zone int // or every
	do   change
}

const every = -1

// A script says what befalls the backends of a scenario, and when.
type script func(*scenario) []event

// during has the fault begin and end with the phase of that name.
func during(zone int, begin, end change) script {
	return func(s *scenario) []event { return []event{{s.calm, zone, begin}, {s.calm + s.fault, zone, end}} }
}

// from has the fault begin with its phase, for good.
func from(zone int, begin change) script {
	return func(s *scenario) []event { return []event{{s.calm, zone, begin}} }
}

// again has a fault begin each period of the phase and last for a while.
func again(zone int, period, last time.Duration, begin, end change) script {
	return func(s *scenario) (all []event) {
		for at := s.calm; at < s.calm+s.fault; at += period {
			all = append(all, event{at, zone, begin}, event{at + last, zone, end})
		}
		return all
	}
}

// both is one script after the other.
func both(a, b script) script {
	return func(s *scenario) []event { return append(a(s), b(s)...) }
}

// allOf is several changes at once.
func allOf(changes ...change) change {
	return func(s *state) {
		for _, c := range changes {
			c(s)
		}
	}
}

// workers sets how many take jobs. With none the service stalls: what was begun
// is finished, the rest waits.
func workers(n int) change           { return func(s *state) { s.alive = n } }
func times(factor float64) change    { return func(s *state) { s.factor = factor } }
func flawed(f flaws) change          { return func(s *state) { s.flaws = f } }
func later(low, high float64) change { return func(s *state) { s.extra = between(low, high) } }
func punctual(s *state)              { s.extra = nil }

// slowly sets how long a request takes that fails.
func slowly(d time.Duration) change { return func(s *state) { s.failing = d } }

// between draws from low to high seconds.
func between(low, high float64) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		return time.Duration((low + (high-low)*r.Float64()) * float64(time.Second))
	}
}

// sometimes draws from low to high seconds for a share of the answers.
func sometimes(share, low, high float64) change {
	draw := between(low, high)
	return func(s *state) {
		s.extra = func(r *rand.Rand) time.Duration {
			if r.Float64() >= share {
				return 0
			}
			return draw(r)
		}
	}
}

func refuses(s *state) {
	s.refuses = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func unknownHost(s *state) {
	s.refuses = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "backend", IsNotFound: true}}
}

func accepts(s *state) { s.refuses = nil }
