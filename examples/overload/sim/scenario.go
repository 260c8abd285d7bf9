package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

const millisecond = time.Millisecond

// Backends returns four services without load: a machine bound by its CPU, a
// pool of workers such as connections to a database, a large one, and one that
// is hardly big enough for anything.
func Backends() []Scenario {
	return []Scenario{
		{Name: "cpu", Capacity: 400, Backend: func() Backend { return &CPU{Cores: 4, Loss: .001} }, Work: Exponential(10 * millisecond), Timeout: 500 * millisecond, Attempts: 3},
		{Name: "pool", Capacity: 640, Backend: func() Backend { return NewPool(32) }, Work: Exponential(50 * millisecond), Timeout: 500 * millisecond, Attempts: 3},
		{Name: "large pool", Capacity: 5120, Backend: func() Backend { return NewPool(256) }, Work: Exponential(50 * millisecond), Timeout: 500 * millisecond, Attempts: 3},
		{Name: "one core", Capacity: 10, Backend: func() Backend { return &CPU{Cores: 1, Loss: .001} }, Work: Exponential(100 * millisecond), Timeout: 2 * time.Second, Attempts: 3},
	}
}

// Overload is calm, then too much, then calm again, a phase each and the last at
// least 4 s.
func (s Scenario) Overload(load float64, phase time.Duration) Scenario {
	calm := .7
	if s.Capacity < 100 {
		calm, phase = .6, 10*phase // or chance decides
	}
	s.Phases = []Phase{{calm, phase}, {load, phase}, {calm, max(phase, 4*time.Second)}}
	return s
}

// Wave is 600 calls at once, 10 s into a load of 60 %, from clients that come
// back when they are told to.
func Wave() Scenario {
	s := Backends()[0]
	s.Name, s.Obey = "burst of 600", true
	s.Phases = []Phase{{.6, 40 * time.Second}}
	s.Bursts = []Burst{{10 * time.Second, 600}}
	return s
}

// HoldOut returns scenarios that the limit was not made with. What they load
// changes after Change.
func HoldOut() []Scenario {
	cpu, pool := Backends()[0], Backends()[1]
	calm := func(s Scenario, load float64) Scenario {
		s.Phases = []Phase{{load, 2 * Change}}
		return s
	}
	step := func(s Scenario, before, load float64) Scenario {
		s.Phases = []Phase{{before, Change}, {load, Change}}
		return s
	}
	slower := func(from, to time.Duration) func(time.Duration, *rand.Rand) (string, time.Duration) {
		return func(at time.Duration, r *rand.Rand) (string, time.Duration) {
			mean := from
			if at >= Change {
				mean = to
			}
			return "/", time.Duration(r.ExpFloat64() * float64(mean))
		}
	}
	var list []Scenario
	add := func(name string, s Scenario, change func(*Scenario)) {
		s.Name = name
		if change != nil {
			change(&s)
		}
		list = append(list, s)
	}
	add("four times slower, no overload", calm(cpu, .7), func(s *Scenario) {
		s.Backend = func() Backend { return Async{} }
		s.Work = slower(20*millisecond, 80*millisecond)
	})
	add("twenty times slower, no overload", calm(cpu, .7), func(s *Scenario) {
		s.Backend = func() Backend { return Async{} }
		s.Work = slower(10*millisecond, 200*millisecond)
		s.Timeout = 2 * time.Second
	})
	add("more of the slow route, no overload", calm(pool, .8), func(s *Scenario) {
		// The mean grows from 14.5 to 46 ms, the load from a quarter to 80 %.
		s.Capacity = 32 / .046
		s.Work = func(at time.Duration, r *rand.Rand) (string, time.Duration) {
			share := .05
			if at >= Change {
				share = .4
			}
			if r.Float64() < share {
				return "/slow", time.Duration(r.ExpFloat64() * float64(100*millisecond))
			}
			return "/", time.Duration(r.ExpFloat64() * float64(10*millisecond))
		}
	})
	add("long tail, three times the load", step(pool, .7, 3), func(s *Scenario) {
		s.Backend = func() Backend { return NewPool(48) }
		s.Capacity = 48 / .05
		s.Work = func(_ time.Duration, r *rand.Rand) (string, time.Duration) {
			return "/", time.Duration(50 * float64(millisecond) * math.Exp(r.NormFloat64()-.5))
		}
	})
	add("half the capacity", calm(cpu, .8), func(s *Scenario) {
		s.Work = slower(10*millisecond, 20*millisecond)
	})
	add("impatient clients, five times the load", step(cpu, .7, 5), func(s *Scenario) {
		s.Timeout = 200 * millisecond
	})
	add("started in an overload", step(cpu, 2, 2), nil)
	add("started in an overload of a pool", step(pool, 2, 2), nil)
	add("idle, then twice the load", step(cpu, .05, 2), nil)
	add("a third more for long", step(cpu, 1.3, 1.3), func(s *Scenario) { s.Phases[0].For, s.Phases[1].For = Change, 10*Change })
	add("bursts of 30 each second, no overload", calm(cpu, .6), func(s *Scenario) {
		for at := time.Second; at < 2*Change; at += time.Second {
			s.Bursts = append(s.Bursts, Burst{at, 30})
		}
		s.Phases[0].Load -= 30 / s.Capacity
	})
	add("cheap and dear, twice the load", step(cpu, .7, 2), func(s *Scenario) {
		s.Work = func(_ time.Duration, r *rand.Rand) (string, time.Duration) {
			mean := 5 * millisecond
			if r.Float64() < .1 {
				mean = 55 * millisecond
			}
			return "/", time.Duration(r.ExpFloat64() * float64(mean))
		}
	})
	add("a dependency hangs, no overload", calm(cpu, .5), func(s *Scenario) {
		s.Backend = func() Backend { return Async{} }
		s.Announce = true
		s.Work = func(at time.Duration, r *rand.Rand) (string, time.Duration) {
			if r.Float64() < .2 {
				if at >= Change {
					return "/slow", time.Second
				}
				return "/slow", time.Duration(r.ExpFloat64() * float64(10*millisecond))
			}
			return "/", time.Duration(r.ExpFloat64() * float64(10*millisecond))
		}
	})
	return list
}

// Change is when something changes in a scenario of [HoldOut].
const Change = 30 * time.Second
