package worlds

import (
	"net/http"
	"time"
)

// holdOut returns worlds that were written down before the limit was tuned, and
// that it is not to be tuned by.
func holdOut() []World {
	list := []World{
		{
			Name: "a quick route and a slow one change places", Law: NoHarm, Length: 60 * sec, Patterns: true, Short: true,
			Service: Routes(map[string]Service{
				"/a": Sleep(From(20*sec, Exponential(800*ms), Exponential(5*ms))),
				"/b": Sleep(From(20*sec, Exponential(5*ms), Exponential(800*ms))),
			}),
			Callers: []Caller{{Name: "a", Path: "/a", Rate: Steady(100)}, {Name: "b", Path: "/b", Rate: Steady(100)}},
			Checks:  []Check{unharmed("", 0, forever)},
		}, {
			Name: "a group commit each 50 ms, from 100 to 2,000 a second", Law: NoHarm, Length: 40 * sec, Service: Batches(50 * ms),
			Callers: []Caller{{Rate: Rate{{100, 20 * sec}, {2000, forever}}}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "500 calls at once each 10 s, of 5 ms in 64 workers", Law: NoHarm, Length: 60 * sec, Service: Pool(64, Exactly(5*ms)),
			Callers: []Caller{{Rate: Steady(20), Patience: sec}, {Burst: 500, Every: 10 * sec, Patience: sec}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "300 long polls begin at once beside quick calls", Law: NoHarm, Length: 90 * sec,
			Service: Routes(map[string]Service{"/api": Sleep(Exponential(10 * ms)), "/poll": Sleep(Exactly(20 * sec))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(100)}, {Name: "polls", Path: "/poll", Burst: 300, Every: 25 * sec, Useful: forever}},
			Checks:  []Check{unharmed("api", 0, forever)},
		}, {
			Name: "100 clients in turn upload for 2 s beside quick calls", Law: NoHarm, Length: 60 * sec,
			Service: Routes(map[string]Service{"/api": Sleep(Exponential(10 * ms)), "/up": Row(Upload(), Sleep(Exponential(20*ms)))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(100)}, {Name: "up", Path: "/up", Clients: 100, Think: sec, Upload: 2 * sec, Useful: forever}},
			Checks:  []Check{unharmed("", 0, forever)},
		}, {
			Name: "one in twenty fails after 5 s, the others take 20 ms", Law: NoHarm, Length: 90 * sec,
			Service: Either(.05, Answering(http.StatusBadGateway, Sleep(Exactly(5*sec))), Sleep(Exponential(20*ms))),
			Callers: []Caller{{Rate: Steady(150)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "latency swings between 20 and 500 ms in 30 s", Law: NoHarm, Length: 120 * sec,
			Service: Sleep(Changing(func(at time.Duration) time.Duration {
				return 20*ms + time.Duration(480*float64(ms)*Waves(0, 1, 30*sec, 120*sec).at(at))
			})),
			Callers: []Caller{{Rate: Steady(200)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "half of the calls are 404 at once, and the others slow down by half a second", Law: NoHarm, Length: 60 * sec, Short: true,
			Service: Either(.5, Answering(http.StatusNotFound, Sleep(Exactly(0))), Sleep(From(20*sec, Exponential(600*ms), Exponential(100*ms)))),
			Callers: []Caller{{Rate: Steady(300)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "next to nothing for a minute, then three times the capacity", Law: Capacity, Length: 90 * sec, Capacity: 400, Room: 12, Short: true,
			Service: Pool(8, Exponential(20*ms)), Callers: []Caller{{Rate: Rate{{1, 60 * sec}, {1200, forever}}, Patience: sec}},
			Checks: []Check{useful(400, 70*sec, 90*sec)},
		}, {
			Name: "a lock convoy: more at a time get less done, twice the capacity", Law: Capacity, Length: 50 * sec, Capacity: 400, Room: 4,
			Service: CPU(4, .02, Exponential(10*ms)), Callers: []Caller{{Rate: Rate{{240, 10 * sec}, {800, 40 * sec}, {240, forever}}, Patience: sec}},
			Checks: []Check{{Name: "useful", Bound: .85, Figure: func(o *Outcome) float64 { return o.Rate("", 20*sec, 40*sec) / 400 }}, back(42*sec, forever)},
		}, {
			Name: "starts with cold caches, twice the warm capacity", Law: Capacity, Length: 60 * sec, Capacity: 200, Room: 6,
			Service: Pool(4, During(0, 10*sec, Exponential(200*ms), Exponential(20*ms))), Callers: []Caller{{Rate: Steady(400), Patience: 2 * sec, Useful: sec}},
			Checks: []Check{useful(200, 20*sec, 60*sec)},
		}, {
			Name: "capacity leaks away from 400 to 100 in a minute, at 300 a second", Law: Capacity, Length: 80 * sec, Capacity: 400, Room: 12,
			Service: Pool(8, growing(20*ms, 10*sec, 70*sec, 4)), Callers: []Caller{{Rate: Steady(300), Patience: sec}},
			Checks: []Check{useful(100, 72*sec, 80*sec)},
		}, {
			Name: "clients of 300 ms, 1 s and 30 s mixed, three times the capacity", Law: Capacity, Length: 50 * sec, Capacity: 200, Room: 6,
			Service: Pool(4, Exponential(20*ms)),
			Callers: []Caller{
				{Name: "hasty", Rate: Rate{{40, 10 * sec}, {200, forever}}, Patience: 300 * ms, Announce: true},
				{Name: "usual", Rate: Rate{{40, 10 * sec}, {200, forever}}, Patience: sec, Announce: true},
				{Name: "patient", Rate: Rate{{40, 10 * sec}, {200, forever}}, Patience: 30 * sec},
			},
			Checks: []Check{useful(200, 20*sec, 50*sec)},
		}, {
			Name: "200 clients in turn that retry, of a service that can do a third", Law: Capacity, Length: 40 * sec, Capacity: 200, Room: 6,
			Service: Pool(4, Exponential(20*ms)), Callers: []Caller{{Clients: 200, Think: 300 * ms, Patience: sec, Attempts: 3}},
			Checks: []Check{useful(200, 10*sec, 40*sec)},
		}, {
			Name: "a batch job of 50 dear calls at a time beside quick calls on the same workers", Law: Isolation, Length: 60 * sec, Patterns: true, Capacity: 400, Room: 12,
			Service: Pool(8, byPath("/report", Exactly(400*ms), Exactly(10*ms))),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(150), Patience: sec}, {Name: "reports", Path: "/report", Burst: 50, Every: 20 * sec, Useful: 20 * sec}},
			Checks:  []Check{{Name: "served, api", Bound: .05, Without: true, Figure: func(o *Outcome) float64 { return o.Served("api", 0, forever) }}},
		}, {
			Name: "ten tenants ask for the same, one for as much as all others, twice the capacity", Law: Isolation, Length: 40 * sec, Capacity: 200, Room: 6,
			Service: Pool(4, Exactly(20*ms)), Callers: tenants(10, 20, 200),
			Checks: []Check{{Name: "served, the smallest share", Bound: .8, Figure: leastServed(10, 15*sec)}},
		}, {
			Name: "one route hangs, then another, then both are back", Law: Isolation, Length: 90 * sec, Patterns: true, Short: true,
			Service: Routes(map[string]Service{
				"/fast": Sleep(Exponential(10 * ms)), "/a": Sleep(During(10*sec, 50*sec, Exactly(30*sec), Exponential(20*ms))),
				"/b": Sleep(During(30*sec, 50*sec, Exactly(30*sec), Exponential(20*ms))),
			}),
			Callers: []Caller{{Name: "fast", Path: "/fast", Rate: Steady(150), Patience: sec}, {Name: "a", Path: "/a", Rate: Steady(30), Patience: sec}, {Name: "b", Path: "/b", Rate: Steady(30), Patience: sec}},
			Checks:  []Check{spared("fast", 0, forever), {Name: "served after, all", Bound: .99, Figure: func(o *Outcome) float64 { return o.Served("", 82*sec, forever) }}},
		},
	}
	for i := range list {
		list[i].HoldOut = true
	}
	return list
}

// at returns the rate at a time.
func (r Rate) at(t time.Duration) float64 {
	for _, p := range r {
		if t < p.Until {
			return p.PerSecond
		}
	}
	return 0
}

// growing is exponential, of a mean that grows to several times as much.
func growing(mean, from, to time.Duration, times float64) Draw {
	return func(v *Visit) time.Duration {
		part := min(1, max(0, (v.At()-from).Seconds()/(to-from).Seconds()))
		return Exponential(time.Duration(float64(mean) * (1 + (times-1)*part)))(v)
	}
}

func byPath(path string, a, b Draw) Draw {
	return func(v *Visit) time.Duration {
		if v.Request.URL.Path == path {
			return a(v)
		}
		return b(v)
	}
}

// tenants are n callers of a rate each, and a greedy one.
func tenants(n int, rate, greedy float64) []Caller {
	all := []Caller{{Name: "greedy", Rate: Steady(greedy), Patience: 2 * sec}}
	for i := range n {
		all = append(all, Caller{Name: tenant(i), Rate: Steady(rate), Patience: 2 * sec})
	}
	return all
}

func tenant(i int) string { return "tenant " + string(rune('a'+i)) }

func leastServed(n int, from time.Duration) func(*Outcome) float64 {
	return func(o *Outcome) float64 {
		least := 1.
		for i := range n {
			least = min(least, o.Served(tenant(i), from, forever))
		}
		return least
	}
}
