package limiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// holdOutWorlds were written down before the limit was, and not looked at while
// it was made.
func holdOutWorlds() []worldCase {
	p3 := func(a, b, c time.Duration) []time.Duration { return []time.Duration{a, b, c} }
	none := nowhere
	return []worldCase{
		{world{name: "two pools in a row, three times", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec},
			places: func() []place { return []place{after{first: newPool(10), second: newPool(3), share: 1. / 3}} },
			kinds:  one(kind{rate: steps(100, 10, 450, 40), work: exponential(30 * ms), patience: 2 * sec})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 140, freely, 0}}},
		{world{name: "lognormal, pool of 16, three times", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: poolOf(16),
			kinds: one(kind{rate: steps(250, 10, 1200, 40), work: lognormal(19500*time.Microsecond, 1.2), patience: 800 * ms})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 375, freely, 0}}},
		{world{name: "half of the workers every other 10 s", length: 60 * sec, phases: []time.Duration{10 * sec, 20 * sec, 30 * sec, 40 * sec, 50 * sec, 60 * sec},
			places: func() []place {
				return []place{&pool{workers: func(at time.Duration) int {
					if int(at/(10*sec))%2 == 1 {
						return 4
					}
					return 8
				}}}
			}, kinds: one(kind{rate: steady(300), work: exponential(20 * ms), patience: sec, says: true})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 185, freely, 0}, {0, 2, 0, freely, .97}, {0, 3, 190, freely, 0}, {0, 4, 0, freely, .97}}},
		{world{name: "starts with a fifth of its workers, one more each 4 s, at .8 of all", length: 60 * sec, phases: []time.Duration{20 * sec, 40 * sec, 60 * sec},
			places: func() []place {
				return []place{&pool{workers: func(at time.Duration) int { return min(10, 2+int(at/(4*sec))) }}}
			}, kinds: one(kind{rate: steady(400), work: exponential(20 * ms), patience: sec})},
			[]expectation{{0, 0, 200, freely, 0}, {0, 1, 370, freely, 0}, {0, 2, 0, .01, .99}}},
		{world{name: "three routes, one pool, one at five times; then all quiet", length: 50 * sec, phases: p3(15*sec, 40*sec, 50*sec), places: poolOf(10), kinds: []kind{
			{route: "/a", known: true, rate: steps(100, 15, 2000, 40, 100, 50), work: exponential(10 * ms), patience: sec},
			{route: "/b", known: true, rate: steady(60), work: exponential(40 * ms), patience: sec},
			{route: "/c", known: true, rate: steady(20), work: constant(300 * ms), place: none, patience: 2 * sec, useful: ever}}},
			[]expectation{{0, 0, 0, .01, 0}, {1, 0, 0, .01, 0}, {2, 1, 0, freely, .9}, {0, 2, 0, .05, 0}}},
		{world{name: "a route without bound grows slow while another is overloaded", length: 70 * sec, phases: p3(10*sec, 30*sec, 70*sec), places: poolOf(6), kinds: []kind{
			{route: "/a", known: true, rate: steps(150, 10, 700, 70), work: exponential(20 * ms), patience: sec},
			{route: "/b", known: true, rate: steady(100), work: changes(30*sec, constant(30*ms), constant(150*ms)), place: none}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 280, freely, 0}, {1, 1, 0, freely, .95}, {0, 2, 280, freely, 0}, {1, 2, 0, freely, .8}}},
		{world{name: "a third hangs without names, the rest at half load", length: 60 * sec, phases: []time.Duration{20 * sec, 60 * sec}, places: poolOf(8), kinds: []kind{
			{rate: steady(200), work: exponential(20 * ms), patience: sec}, {rate: steady(100), work: changes(20*sec, constant(20*ms), constant(20*sec)), place: none, patience: 2 * sec}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, freely, .9}}},
		{world{name: "bursts of 200 every 5 s at .4", length: 60 * sec, places: poolOf(16), bursts: map[time.Duration]int{5 * sec: 200, 10 * sec: 200, 15 * sec: 200, 20 * sec: 200, 25 * sec: 200, 30 * sec: 200, 35 * sec: 200, 40 * sec: 200},
			kinds: one(kind{rate: steady(320), work: exponential(20 * ms), patience: sec})}, []expectation{{0, 0, 0, freely, .99}}},
		{world{name: "patience of 150 ms and of 3 s, three times from the start", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: poolOf(10), kinds: []kind{
			{rate: steady(750), work: exponential(20 * ms), patience: 150 * ms}, {rate: steady(750), work: exponential(20 * ms), patience: 3 * sec}}},
			[]expectation{{0, 1, 200, freely, 0}, {1, 1, 200, freely, 0}}},
		{world{name: "calls of 20 s, 50 at a time, start into 1.5", length: 400 * sec, phases: []time.Duration{100 * sec, 400 * sec}, places: poolOf(50),
			kinds: one(kind{rate: steady(3.75), work: lateBy(15*sec, 25*sec, constant(0)), patience: 120 * sec, says: true, useful: ever})}, []expectation{{0, 1, 2.3, freely, 0}}},
		{world{name: "latency doubles every 15 s, room for all", length: 90 * sec, kinds: one(kind{rate: steady(120), place: none, useful: ever, work: func(at time.Duration, r *rand.Rand) time.Duration {
			return time.Duration((.5 + r.Float64()) * 2e7 * math.Exp2(math.Floor(at.Seconds()/15)))
		}})}, []expectation{{0, 0, 0, .01, 0}}},
		{world{name: "exports of 8 s appear in one route of 20 ms", length: 90 * sec, phases: []time.Duration{20 * sec, 90 * sec}, kinds: one(kind{rate: steady(80), place: none, useful: ever,
			work: changes(20*sec, exponential(20*ms), mixed(.15, exponential(20*ms), exponential(8*sec)))})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}}},
		{world{name: "two cores, 30 routes, ten times for 15 s", length: 45 * sec, phases: p3(15*sec, 30*sec, 45*sec), places: func() []place { return []place{&cores{n: 2, loss: .002}} },
			kinds: sharing(30, steps(3, 15, 33, 30, 3, 45))}, []expectation{{0, 0, 0, .02, 0}, {0, 1, 2.8, freely, 0}, {0, 2, 0, .15, .85}}},
		{world{name: "errors of 5 ms for a third of the calls, twice the load", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: poolOf(6), kinds: []kind{
			{rate: steps(150, 10, 600, 40), work: exponential(20 * ms), patience: sec}, {rate: steps(75, 10, 300, 40), work: constant(5 * ms), place: none, patience: sec, fails: func(time.Duration) bool { return true }}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 275, freely, 0}}},
	}
}

func TestHoldOutWorlds(t *testing.T) {
	for _, w := range holdOutWorlds() {
		w.test(t)
	}
}
