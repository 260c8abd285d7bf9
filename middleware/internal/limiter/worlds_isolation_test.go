package limiter

import (
	"fmt"
	"time"
)

func isolationWorlds() (all []worldCase) {
	for _, c := range []struct {
		long time.Duration
		n    float64
	}{{500 * ms, 20}, {sec, 20}, {2 * sec, 40}, {3 * sec, 60}, {5 * sec, 20}} {
		for _, known := range []bool{true, false} {
			all = append(all, worldCase{world{name: fmt.Sprintf("%.0f of %v beside twice the load, known %v", c.n, c.long, known), length: 60 * sec, phases: []time.Duration{20 * sec, 30 * sec, 60 * sec}, places: poolOf(4),
				kinds: []kind{{route: "/api", known: known, rate: steps(200, 20, 800, 60), work: constant(10 * ms), patience: sec},
					{route: "/long", known: known, rate: steady(c.n / .8 / c.long.Seconds()), work: constant(c.long), place: nowhere, useful: ever}}},
				[]expectation{{0, 0, 0, .01, 0}, {1, 0, 0, .01, 0}, {0, 2, 370, freely, 0}, {1, 2, 0, freely, map[bool]float64{true: .9}[known]}}})
		}
	}
	two := func() []place { return []place{newPool(4), newPool(40)} }
	all = append(all,
		worldCase{world{name: "two pools, one at five times", length: 50 * sec, phases: []time.Duration{10 * sec, 40 * sec, 50 * sec}, places: two, kinds: []kind{
			{route: "/a", known: true, rate: steps(120, 10, 1000, 40, 120, 50), work: exponential(20 * ms)}, {route: "/b", known: true, rate: steady(250), work: exponential(100 * ms), place: 1}}},
			[]expectation{{0, 1, 180, freely, 0}, {1, 0, 0, .01, 0}, {1, 1, 0, freely, .9}, {1, 2, 0, .02, 0}}},
		worldCase{world{name: "a flood of cheap ones hides a dear route at twice", length: 60 * sec, phases: []time.Duration{20 * sec, 60 * sec}, places: poolOf(10), kinds: []kind{
			{route: "/cheap", known: true, rate: steady(1000), work: constant(2 * ms), place: nowhere}, {route: "/dear", known: true, rate: steps(7, 20, 20, 60), work: exponential(sec), patience: 4 * sec, useful: ever}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .05, 0}, {1, 1, 8, freely, 0}}},
		worldCase{world{name: "one route becomes slow, nothing is loaded", length: 60 * sec, phases: []time.Duration{5 * sec, 60 * sec}, kinds: []kind{
			{route: "/fast", known: true, rate: steady(60), work: constant(2 * ms), place: nowhere}, {route: "/report", known: true, rate: steady(20), work: changes(5*sec, constant(20*ms), constant(1500*ms)), place: nowhere, useful: ever}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}, {1, 1, 0, .01, 0}}},
		worldCase{world{name: "that, without names", length: 60 * sec, phases: []time.Duration{5 * sec, 60 * sec}, kinds: []kind{
			{rate: steady(60), work: constant(2 * ms), place: nowhere}, {rate: steady(20), work: changes(5*sec, constant(20*ms), constant(1500*ms)), place: nowhere, useful: ever}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}, {1, 1, 0, .01, 0}}},
		worldCase{world{name: "one route hangs for 30 s, clients leave", length: 60 * sec, phases: []time.Duration{10 * sec, 60 * sec}, kinds: []kind{
			{route: "/fast", known: true, rate: steady(60), work: constant(2 * ms), place: nowhere}, {route: "/report", known: true, rate: steady(20), work: changes(10*sec, constant(20*ms), constant(30*sec)), place: nowhere, patience: sec}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, .99}}},
		worldCase{world{name: "long polls, and clients that give up at once", length: 120 * sec, phases: []time.Duration{40 * sec, 120 * sec}, kinds: []kind{
			{route: "/api", known: true, rate: steady(200), work: constant(10 * ms), place: nowhere}, {route: "/poll", known: true, rate: steady(2.4), work: constant(25 * sec), place: nowhere, useful: ever},
			{route: "/api", known: true, rate: steps(0, 40, 30, 120), work: constant(5 * ms), place: nowhere, patience: 5 * ms}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}, {1, 1, 0, .01, 0}}},
		worldCase{world{name: "a route hangs, its clients say that they wait 500 ms and come back", length: 60 * sec, phases: []time.Duration{30 * sec, 60 * sec}, kinds: []kind{
			{route: "/", known: true, rate: steady(160), work: exponential(10 * ms), place: nowhere, patience: 500 * ms, says: true},
			{route: "/slow", known: true, rate: steps(40, 30, 120, 60), work: changes(30*sec, exponential(10*ms), constant(sec)), place: nowhere, patience: 500 * ms, says: true}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, .99}}},
		worldCase{world{name: "ten routes share a pool, start into twice", length: 30 * sec, phases: []time.Duration{10 * sec, 30 * sec}, places: poolOf(8), kinds: sharing(10, steady(80))},
			[]expectation{{0, 1, 36, freely, 0}}},
		worldCase{world{name: "ten routes share a pool, one at ten times", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: poolOf(8), kinds: func() []kind {
			k := sharing(10, steady(24))
			k[0].rate = steps(24, 10, 400, 40)
			return k
		}()}, []expectation{{0, 1, 100, freely, 0}}},
	)
	return all
}

func sharing(n int, rate func(time.Duration) float64) (all []kind) {
	for i := range n {
		all = append(all, kind{route: fmt.Sprint("/", i), known: true, rate: rate, work: exponential(20 * ms)})
	}
	return all
}
