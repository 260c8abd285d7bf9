package worlds

import "time"

// sudden returns worlds in which a service loses most of its capacity at once, and
// their look-alikes, in which it only becomes slower. They were written down before
// the limit was tuned to tell them apart.
func sudden() []World {
	lost := func(workers int, d Draw, left int, back time.Duration) Service {
		return Pool(workers, d, Resize{10 * sec, left}, Resize{back, workers})
	}
	list := of(Capacity, []World{
		{
			Name: "three of four workers gone for 20 s, 500 ms announced", Length: 50 * sec, Capacity: 400, Room: 12,
			Service: lost(8, Exponential(20*ms), 2, 30*sec), Callers: []Caller{{Rate: Steady(280), Patience: 500 * ms, Announce: true}},
			Checks: []Check{useful(100, 15*sec, 30*sec), back(32*sec, forever)},
		}, {
			Name: "nine of ten workers gone for 30 s, patient clients", Length: 60 * sec, Capacity: 500, Room: 24,
			Service: lost(20, Exponential(40*ms), 2, 40*sec), Callers: []Caller{{Rate: Steady(350)}},
			Checks: []Check{useful(50, 20*sec, 40*sec), back(42*sec, forever)},
		}, {
			Name: "three of four of 100 workers gone for 20 s", Length: 50 * sec, Capacity: 2000, Room: 140,
			Service: lost(100, Lognormal(50*ms, 1), 25, 30*sec), Callers: []Caller{{Rate: Steady(1200), Patience: sec}},
			Checks: []Check{useful(500, 15*sec, 30*sec), back(32*sec, forever)},
		}, {
			Name: "twice as slow for 20 s, at 0.8 of the capacity", Length: 50 * sec, Capacity: 400, Room: 12,
			Service: Pool(8, During(10*sec, 30*sec, About(40*ms), About(20*ms))), Callers: []Caller{{Rate: Steady(320), Patience: 2 * sec}},
			Checks: []Check{useful(200, 15*sec, 30*sec), back(32*sec, forever)},
		},
	})
	list = append(list, of(NoHarm, []World{
		{
			Name: "suddenly 400 ms instead of 20, exponential, clients go after 2 s", Length: 60 * sec,
			Service: Sleep(From(10*sec, Exponential(400*ms), Exponential(20*ms))), Callers: []Caller{{Rate: Steady(200), Patience: 2 * sec}},
			Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "suddenly 600 ms instead of 30, lognormal, patient clients", Length: 60 * sec,
			Service: Sleep(From(10*sec, Lognormal(600*ms, 1), Lognormal(30*ms, 1))), Callers: []Caller{{Rate: Steady(100), Useful: forever}},
			Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "suddenly 800 ms instead of 10, clients go after 1 s", Length: 60 * sec,
			Service: Sleep(From(10*sec, About(750*ms), About(10*ms))), Callers: []Caller{{Rate: Steady(300), Patience: sec}},
			Checks: []Check{unharmed("", 0, forever)},
		},
	})...)
	for i := range list {
		list[i].HoldOut = true
	}
	return list
}
