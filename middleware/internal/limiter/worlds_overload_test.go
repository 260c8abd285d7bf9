package limiter

import (
	"math"
	"math/rand/v2"
	"time"
)

func overloadWorlds() []worldCase {
	p3 := func(a, b, c time.Duration) []time.Duration { return []time.Duration{a, b, c} }
	cpu := func(n, loss float64) func() []place {
		return func() []place { return []place{&cores{n: n, loss: loss}} }
	}
	return []worldCase{
		{world{name: "cpu of 4, twice", length: 25 * sec, phases: p3(10*sec, 20*sec, 25*sec), places: cpu(4, .001),
			kinds: one(kind{rate: steps(280, 10, 800, 20, 280, 25), work: exponential(10 * ms), patience: 500 * ms})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 370, freely, 0}, {0, 2, 0, freely, .95}}},
		{world{name: "cpu of 4, five times", length: 25 * sec, phases: p3(10*sec, 20*sec, 25*sec), places: cpu(4, .001),
			kinds: one(kind{rate: steps(280, 10, 2000, 20, 280, 25), work: exponential(10 * ms), patience: 500 * ms})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 370, freely, 0}, {0, 2, 0, freely, .95}}},
		// It can give 58; where those that come later do not count it gives 5.
		{world{name: "cpu of 22, each one more costs, 1.2 times", length: 40 * sec, phases: p3(20*sec, 25*sec, 40*sec), places: cpu(22, .005),
			kinds: one(kind{rate: steps(37, 20, 70, 40), work: lateBy(189*ms, 568*ms, constant(0)), useful: 4 * sec})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 2, 45, freely, 0}}},
		{world{name: "pool of 32, twice", length: 25 * sec, phases: p3(10*sec, 20*sec, 25*sec), places: poolOf(32),
			kinds: one(kind{rate: steps(450, 10, 1280, 20, 450, 25), work: exponential(50 * ms), patience: 500 * ms})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 600, freely, 0}, {0, 2, 0, freely, .95}}},
		{world{name: "pool of 256, twice", length: 16 * sec, phases: p3(6*sec, 12*sec, 16*sec), places: poolOf(256),
			kinds: one(kind{rate: steps(3500, 6, 10000, 12, 3500, 16), work: exponential(50 * ms), patience: 500 * ms})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 4860, freely, 0}, {0, 2, 0, freely, .95}}},
		{world{name: "pool of 256 at 85 %", length: 10 * sec, places: poolOf(256), kinds: one(kind{rate: steady(4352), work: exponential(50 * ms)})},
			[]expectation{{0, 0, 0, .01, 0}}},
		{world{name: "one core, twice", length: 250 * sec, phases: p3(100*sec, 200*sec, 250*sec), places: cpu(1, .001),
			kinds: one(kind{rate: steps(6, 100, 20, 200, 6, 250), work: exponential(100 * ms), patience: 2 * sec})},
			[]expectation{{0, 0, 0, freely, .93}, {0, 1, 9.3, freely, 0}, {0, 2, 0, freely, .9}}},
		{world{name: "burst of 600", length: 30 * sec, places: cpu(4, .001), bursts: map[time.Duration]int{10 * sec: 600},
			kinds: one(kind{rate: steady(240), work: exponential(10 * ms), patience: 500 * ms})}, []expectation{{0, 0, 0, freely, .92}}},
		{world{name: "patience of 100 ms, twice after calm", length: 30 * sec, phases: []time.Duration{10 * sec, 30 * sec}, places: poolOf(8),
			kinds: one(kind{rate: steps(280, 10, 800, 30), work: exponential(20 * ms), patience: 100 * ms})}, []expectation{{0, 1, 340, freely, 0}}},
		{world{name: "patience of 80 ms said, start into twice", length: 30 * sec, phases: []time.Duration{10 * sec, 30 * sec}, places: poolOf(4),
			kinds: one(kind{rate: steady(400), work: lateBy(15*ms, 25*ms, constant(0)), patience: 80 * ms, says: true})}, []expectation{{0, 1, 190, freely, 0}}},
		{world{name: "patience of 50 ms said, five times after calm", length: 30 * sec, phases: []time.Duration{10 * sec, 12 * sec, 30 * sec}, places: poolOf(4),
			kinds: one(kind{rate: steps(240, 10, 2000, 30), work: lateBy(7500*time.Microsecond, 12500*time.Microsecond, constant(0)), patience: 50 * ms, says: true})}, []expectation{{0, 2, 380, freely, 0}}},
		{world{name: "lock of 10 ms and 40 ms outside, twice", length: 30 * sec, phases: []time.Duration{10 * sec, 30 * sec},
			places: func() []place { return []place{after{first: infinite{}, second: newPool(1), share: .8}} },
			kinds:  one(kind{rate: steps(70, 10, 200, 30), work: constant(50 * ms)})}, []expectation{{0, 1, 95, freely, 0}}},
		{world{name: "start into three times, pool of 4 becomes 40", length: 40 * sec, phases: p3(20*sec, 25*sec, 40*sec), places: changing(4, 40, 20*sec, 99*sec),
			kinds: one(kind{rate: steady(600), work: exponential(20 * ms)})}, []expectation{{0, 0, 185, freely, 0}, {0, 2, 0, .02, .98}}},
		{world{name: "pool of 32, ten times slower for 20 s", length: 60 * sec, phases: []time.Duration{20 * sec, 40 * sec, 45 * sec, 60 * sec}, places: poolOf(32),
			kinds: one(kind{rate: steady(448), patience: sec, work: func(at time.Duration, r *rand.Rand) time.Duration {
				d := time.Duration(r.ExpFloat64() * 5e7)
				if at > 20*sec && at < 40*sec {
					d *= 10
				}
				return d
			}})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 30, freely, 0}, {0, 2, 400, freely, 0}, {0, 3, 0, .02, .95}}},
		{world{name: "half cached, one route", length: 40 * sec, phases: []time.Duration{20 * sec, 40 * sec}, places: poolOf(8), kinds: []kind{
			{rate: steps(128, 20, 320, 40), work: constant(ms), place: nowhere}, {rate: steps(128, 20, 320, 40), work: exponential(50 * ms)}}},
			[]expectation{{0, 0, 0, .01, 0}, {1, 0, 0, .01, 0}, {1, 1, 150, freely, 0}}},
		{world{name: "on and off, 10 s each", length: 60 * sec, phases: []time.Duration{10 * sec, 20 * sec, 30 * sec, 40 * sec, 50 * sec, 60 * sec}, places: poolOf(8),
			kinds: one(kind{rate: steps(800, 10, 40, 20, 800, 30, 40, 40, 800, 50, 40, 60), work: exponential(20 * ms), patience: sec, says: true})},
			[]expectation{{0, 0, 370, freely, 0}, {0, 1, 0, .08, .95}, {0, 2, 375, freely, 0}, {0, 4, 375, freely, 0}}},
		{world{name: "dear ones of 200 ms, 1.5", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: poolOf(8), kinds: one(kind{
			rate: steps(290, 10, 615, 40), work: mixed(.05, constant(10*ms), constant(200*ms))})}, []expectation{{0, 1, 385, freely, 0}}},
		{world{name: "pauses of 300 ms", length: 40 * sec, places: pausing(8, 5*sec, 300*ms, 40*sec), kinds: one(kind{rate: steady(280), work: exponential(20 * ms)})},
			[]expectation{{0, 0, 0, freely, .985}}},
		{world{name: "pauses of 1.5 s, patience said", length: 60 * sec, places: pausing(5, 10*sec, 1500*ms, 48*sec), kinds: one(kind{rate: steady(150), work: exponential(20 * ms), patience: sec, says: true})},
			[]expectation{{0, 0, 0, freely, .93}}},
		{world{name: "up and down each second, patience said", length: 50 * sec, places: pausing(5, 2*sec, sec, 38*sec), kinds: one(kind{rate: steady(87), work: exponential(20 * ms), patience: sec, says: true})},
			[]expectation{{0, 0, 0, freely, .97}}},
		{world{name: "polls of 10 s, then twice the rest", length: 60 * sec, phases: []time.Duration{30 * sec, 40 * sec, 60 * sec}, places: poolOf(4), kinds: []kind{
			{rate: steps(120, 30, 400, 60), work: exponential(20 * ms)}, {rate: steps(6, 30, 20, 60), work: constant(10 * sec), place: nowhere, useful: ever}}},
			[]expectation{{0, 0, 0, .01, 0}, {1, 0, 0, .01, 0}, {0, 2, 180, freely, 0}}},
		{world{name: "four of five workers gone for 10 s", length: 40 * sec, phases: []time.Duration{10 * sec, 20 * sec, 22 * sec, 40 * sec}, places: changing(5, 1, 10*sec, 20*sec),
			kinds: one(kind{rate: steady(175), work: exponential(20 * ms), patience: sec})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 42, freely, 0}, {0, 3, 0, .02, .98}}},
		{world{name: "stall of 10 s", length: 40 * sec, phases: []time.Duration{10 * sec, 20 * sec, 22 * sec, 40 * sec}, places: changing(5, 0, 10*sec, 20*sec),
			kinds: one(kind{rate: steady(175), work: exponential(20 * ms), patience: sec})}, []expectation{{0, 0, 0, .01, 0}, {0, 3, 0, .02, .98}}},
		{world{name: "hang of 10 s, then 300 ms more", length: 40 * sec, phases: []time.Duration{10 * sec, 20 * sec, 22 * sec, 40 * sec},
			kinds: one(kind{rate: steady(175), place: nowhere, patience: sec, work: func(at time.Duration, r *rand.Rand) time.Duration {
				d := time.Duration(r.ExpFloat64() * 2e7)
				switch {
				case at > 20*sec:
					d += 250*ms + time.Duration(r.Float64()*1e8)
				case at > 10*sec:
					d += 20*sec - at
				}
				return d
			}})}, []expectation{{0, 0, 0, .01, 0}, {0, 3, 0, .03, .96}}},
		{world{name: "errors at once for 10 s", length: 40 * sec, phases: []time.Duration{10 * sec, 20 * sec, 40 * sec}, kinds: one(kind{rate: steady(200), place: nowhere,
			fails: func(at time.Duration) bool { return at > 10*sec && at < 20*sec },
			work: func(at time.Duration, _ *rand.Rand) time.Duration {
				if at > 10*sec && at < 20*sec {
					return time.Microsecond
				}
				return 20 * ms
			}})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}, {0, 2, 0, .005, 0}}},
		{world{name: "errors at once for 10 s, 2000 per s", length: 40 * sec, phases: []time.Duration{10 * sec, 20 * sec, 40 * sec}, kinds: one(kind{rate: steady(2000), place: nowhere,
			fails: func(at time.Duration) bool { return at > 10*sec && at < 20*sec },
			work: func(at time.Duration, _ *rand.Rand) time.Duration {
				if at > 10*sec && at < 20*sec {
					return time.Microsecond
				}
				return 20 * ms
			}})},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .01, 0}, {0, 2, 0, .005, 0}}},
		{world{name: "cheap and dear on 4 cores, twice", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: cpu(4, .001), kinds: one(kind{
			rate: steps(280, 10, 800, 40), work: mixed(.1, exponential(5*ms), exponential(55*ms)), patience: 500 * ms})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 360, freely, 0}}},
		{world{name: "cheap and very dear on 4 cores, twice", length: 40 * sec, phases: []time.Duration{10 * sec, 40 * sec}, places: cpu(4, .001), kinds: []kind{
			{rate: steps(250, 10, 720, 40), work: exponential(ms), patience: sec}, {rate: steps(2.5, 10, 7.2, 40), work: exponential(sec), useful: 30 * sec}}}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 500, freely, 0}}},
		{world{name: "a fifth hangs, clients leave", length: 60 * sec, phases: []time.Duration{30 * sec, 60 * sec}, kinds: []kind{
			{rate: steady(160), work: exponential(10 * ms), place: nowhere, patience: 500 * ms}, {rate: steady(40), work: changes(30*sec, exponential(10*ms), constant(sec)), place: nowhere, patience: 500 * ms}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .02, .98}}},
		{world{name: "four fifths hang for 30 s, clients leave", length: 60 * sec, phases: []time.Duration{30 * sec, 60 * sec}, kinds: []kind{
			{route: "/a", known: true, rate: steady(25), work: exponential(20 * ms), place: nowhere, patience: sec}, {route: "/b", known: true, rate: steady(100), work: changes(30*sec, exponential(20*ms), constant(30*sec)), place: nowhere, patience: sec}}},
			[]expectation{{0, 0, 0, .01, 0}, {0, 1, 0, .05, .95}}},
		{world{name: "calls of 5-30 s, 25 slots, stall of 60 s", length: 400 * sec, phases: []time.Duration{120 * sec, 180 * sec, 240 * sec, 400 * sec}, places: changing(25, 0, 120*sec, 180*sec),
			kinds: one(kind{rate: steady(1), work: lateBy(5*sec, 30*sec, constant(0)), patience: 60 * sec, says: true, useful: ever})}, []expectation{{0, 0, 0, .01, 0}, {0, 3, 0, freely, .95}}},
		{world{name: "calls of 5-30 s, 25 slots, twice", length: 600 * sec, phases: []time.Duration{100 * sec, 600 * sec}, places: poolOf(25),
			kinds: one(kind{rate: steady(2.86), work: lateBy(5*sec, 30*sec, constant(0)), patience: 60 * sec, says: true, useful: ever})}, []expectation{{0, 1, 1.3, freely, 0}}},
		{world{name: "waves of .3 to 1.6", length: 60 * sec, places: poolOf(8), kinds: one(kind{rate: func(at time.Duration) float64 {
			return 400 * (.95 + .65*math.Sin(at.Seconds()*2*math.Pi/20))
		}, work: exponential(20 * ms)})}, []expectation{{0, 0, 295, freely, 0}}},
		{world{name: "from .5 to 1.5 in 60 s and back", length: 80 * sec, phases: []time.Duration{25 * sec, 68 * sec, 72 * sec, 80 * sec}, places: poolOf(5), kinds: one(kind{rate: func(at time.Duration) float64 {
			if at < 8*sec || at > 68*sec {
				return 125
			}
			return 125 * (1 + 2*(at-8*sec).Seconds()/60)
		}, work: exponential(20 * ms), patience: sec})}, []expectation{{0, 0, 0, .01, 0}, {0, 1, 225, freely, 0}, {0, 3, 0, .02, .98}}},
	}
}
