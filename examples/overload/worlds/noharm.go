package worlds

import (
	"fmt"
	"net/http"
	"time"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// forever is longer than any world.
const forever = time.Hour

// noHarm returns the worlds in which nothing is over capacity.
func noHarm() []World {
	list := []World{
		{
			Name: "a few calls a second of 300 ms", Length: 300 * sec, Service: Sleep(Exponential(300 * ms)),
			Callers: []Caller{{Rate: Steady(2)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "300 ms slower for good, 175 a second", Length: 60 * sec, Short: true,
			Service: Row(Pool(5, Exponential(20*ms)), Sleep(From(10*sec, Between(250*ms, 350*ms), Exactly(0)))),
			Callers: []Caller{{Rate: Steady(175), Patience: sec}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "600 ms slower for good, 175 a second", Length: 60 * sec, Short: true,
			Service: Row(Pool(5, Exponential(20*ms)), Sleep(From(10*sec, Between(550*ms, 650*ms), Exactly(0)))),
			Callers: []Caller{{Rate: Steady(175), Patience: sec}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "600 ms slower for 20 s, clients say that they have 1 s", Length: 60 * sec,
			Service: Row(Pool(5, Exponential(20*ms)), Sleep(During(10*sec, 30*sec, Between(550*ms, 650*ms), Exactly(0)))),
			Callers: []Caller{{Rate: Steady(175), Patience: sec, Announce: true}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "from 20 to 120 ms for good, bursts of 30", Length: 60 * sec,
			Service: Sleep(From(20*sec, Exponential(120*ms), Exponential(20*ms))),
			Callers: []Caller{{Rate: Steady(270)}, {Burst: 30, Every: sec}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "twice as slow at a third of the capacity", Length: 60 * sec,
			Service: Pool(5, From(10*sec, Exponential(40*ms), Exponential(20*ms))),
			Callers: []Caller{{Rate: Steady(87), Patience: sec}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "pauses of 300 ms each 5 s", Length: 40 * sec, Service: Row(Pool(8, Exponential(20*ms)), Sleep(Changing(pauses(5*sec, 300*ms)))),
			Callers: []Caller{{Rate: Steady(280), Patience: sec}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "a second without workers, a second with them, 1 s announced", Length: 40 * sec, Short: true,
			Service: Pool(5, Exponential(20*ms), flapping(5, 5*sec, 35*sec, 2*sec, sec)...),
			Callers: []Caller{{Rate: Steady(87), Patience: sec, Announce: true}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "1.5 s without workers in 10, 1 s announced", Length: 60 * sec,
			Service: Pool(5, Exponential(20*ms), flapping(5, 5*sec, 55*sec, 10*sec, 1500*ms)...),
			Callers: []Caller{{Rate: Steady(150), Patience: sec, Announce: true}}, Checks: []Check{asWithout("", 0, forever)},
		}, {
			Name: "500 at once for 10 s, then as before", Length: 40 * sec, Short: true,
			Service: Failing(http.StatusInternalServerError, 20*sec, 30*sec, Sleep(Exactly(20*ms))),
			Callers: []Caller{{Rate: Steady(200)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "a third are 503 of the handler's own, at once", Length: 30 * sec,
			Service: Either(.33, Answering(http.StatusServiceUnavailable, Sleep(Exactly(ms))), Sleep(Exactly(30*ms))),
			Callers: []Caller{{Clients: 40, Think: 10 * ms}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "40 clients in turn beside health checks", Length: 20 * sec,
			Service: Routes(map[string]Service{"/work": Sleep(Exactly(30 * ms)), "/health": Sleep(Exactly(0))}),
			Callers: []Caller{{Name: "work", Path: "/work", Clients: 40, Think: 10 * ms}, {Name: "health", Path: "/health", Clients: 8, Think: 2 * ms}},
			Checks:  []Check{unharmed("", 0, forever)},
		}, {
			Name: "40 clients in turn, ten times slower after 10 s", Length: 40 * sec, Patterns: true,
			Service: Sleep(From(10*sec, Exactly(300*ms), Exactly(30*ms))),
			Callers: []Caller{{Clients: 40, Think: 10 * ms}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "40 clients in turn, a cache is flushed", Length: 20 * sec,
			Service: Sleep(From(5*sec, Exactly(40*ms), Mix(.05, Exactly(40*ms), Exactly(ms)))),
			Callers: []Caller{{Clients: 40, Think: 20 * ms}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "3 % of the answers a second late or more", Length: 60 * sec,
			Service: Sleep(Mix(.03, Between(sec, 3*sec), Exponential(20*ms))),
			Callers: []Caller{{Rate: Steady(125), Patience: sec}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "answers of 600 to 800 ms, 1 s announced", Length: 40 * sec,
			Service: Sleep(Between(600*ms, 800*ms)),
			Callers: []Caller{{Rate: Steady(100), Patience: sec, Announce: true}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "LLM calls of 5 to 30 s, one a second", Length: 300 * sec, Service: Sleep(Between(5*sec, 30*sec)),
			Callers: []Caller{{Rate: Steady(1)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "LLM calls of 20 s beside quick ones", Length: 120 * sec, Short: true,
			Service: Routes(map[string]Service{"/chat": Sleep(About(20 * sec)), "/api": Sleep(Exponential(5 * ms))}),
			Callers: []Caller{{Name: "chat", Path: "/chat", Rate: Steady(2)}, {Name: "api", Path: "/api", Rate: Steady(50)}},
			Checks:  []Check{unharmed("", 0, forever)},
		}, {
			Name: "streams of a minute beside quick calls", Length: 120 * sec, Short: true,
			Service: Routes(map[string]Service{"/events": Stream(About(60 * sec)), "/api": Sleep(Exponential(5 * ms))}),
			Callers: []Caller{{Name: "events", Path: "/events", Rate: Steady(3), Useful: forever}, {Name: "api", Path: "/api", Rate: Steady(50)}},
			Checks:  []Check{unharmed("", 0, forever)},
		}, {
			Name: "60 long polls, and one call in eight given up", Length: 120 * sec, Patterns: true, Short: true,
			Service: Routes(map[string]Service{"/api": Attentive(Exactly(10 * ms)), "/poll": Attentive(Exactly(25 * sec))}),
			Callers: givenUp(), Checks: []Check{unharmed("api", 0, forever)},
		}, {
			Name: "60 long polls, and one call in eight given up, at least 500 at a time", Length: 120 * sec, Patterns: true, MinConcurrency: 500,
			Service: Routes(map[string]Service{"/api": Attentive(Exactly(10 * ms)), "/poll": Attentive(Exactly(25 * sec))}),
			Callers: givenUp(), Checks: []Check{unharmed("api", 0, forever)},
		}, {
			Name: "half of the capacity of one route beside 60 slow calls of 3 s", Length: 120 * sec,
			Service: Routes(map[string]Service{"/api": Pool(4, Exactly(10*ms)), "/slow": Sleep(Exactly(3 * sec))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(200), Patience: sec}, {Name: "slow", Path: "/slow", Rate: Steady(20), Patience: 10 * sec}},
			Checks:  []Check{asWithout("api", 0, forever), unharmed("slow", 0, forever)},
		}, {
			Name: "every request is a route of its own", Length: 30 * sec, Service: Named(Sleep(Exponential(20 * ms))),
			Callers: []Caller{{Rate: Steady(1000)}}, Checks: []Check{unharmed("", 0, forever)},
		}, {
			Name: "a replica hangs, and does not know whether others do", Length: 30 * sec, Short: true,
			Service: Sleep(From(5*sec, Exactly(60*sec), Exactly(20*ms))),
			Callers: []Caller{{Rate: Steady(100), Patience: sec, Announce: true}},
			Checks: []Check{{Name: "told not to come back", Bound: .01, Most: true,
				Figure: func(o *Outcome) float64 { return o.Never(0, forever) }}},
		},
	}
	for _, patterns := range []bool{true, false} {
		list = append(list, World{
			Name: "the dependency of one route takes 1.5 s instead of 20 ms, " + naming(patterns), Length: 30 * sec, Patterns: patterns,
			Service: Routes(map[string]Service{"/fast": Sleep(Exactly(2 * ms)), "/report": Sleep(From(5*sec, Exactly(1500*ms), Exactly(20*ms)))}),
			Callers: []Caller{{Name: "fast", Path: "/fast", Rate: Steady(60)}, {Name: "report", Path: "/report", Rate: Steady(20), Useful: 2 * sec}},
			Checks:  []Check{unharmed("", 0, forever)},
		})
	}
	for _, c := range []struct {
		perSecond, share float64
		slow             time.Duration
	}{{10, .02, 30 * sec}, {50, .02, 30 * sec}, {20, .05, 5 * sec}, {20, .05, sec}, {5, .1, 2 * sec}, {200, .01, 10 * sec}} {
		list = append(list, World{
			Name: fmt.Sprintf("%.0f a second, of which %.0f %% poll for %v", c.perSecond, 100*c.share, c.slow), Length: 180 * sec, Short: c.perSecond == 10,
			Service: Routes(map[string]Service{"/x": Sleep(Exactly(10 * ms)), "/poll": Sleep(Exactly(c.slow))}),
			Callers: []Caller{{Name: "quick", Path: "/x", Rate: Steady(c.perSecond * (1 - c.share))}, {Name: "polls", Path: "/poll", Rate: Steady(c.perSecond * c.share)}},
			Checks:  []Check{unharmed("", 0, forever)},
		})
	}
	for _, t := range []struct {
		name string
		draw Draw
		at   []float64
	}{
		{"half of 10 ms and half of 2 s", Mix(.5, Exactly(10*ms), Exactly(2*sec)), []float64{20, 100, 500}},
		{"one in twenty takes 5 s, the others 5 ms", Mix(.05, Exactly(5*sec), Exactly(5*ms)), []float64{20, 100, 500}},
		{"exponential of 1 s", Exponential(sec), []float64{100, 500}},
		{"constant 3 s", Exactly(3 * sec), []float64{100, 500}},
		{"lognormal of 150 ms", Lognormal(150*ms, 1.5), []float64{20, 500}},
		{"from 5 to 100 ms after 2 s", From(2*sec, Exactly(100*ms), Exactly(5*ms)), []float64{100, 500}},
		{"warms up from 1 s to 20 ms", Changing(warming(sec, 20*ms, 3*sec)), []float64{100, 500}},
	} {
		for _, rate := range t.at {
			list = append(list, World{
				Name: fmt.Sprintf("%s, %.0f a second", t.name, rate), Length: 60 * sec, Short: rate == 100, Service: Sleep(t.draw),
				Callers: []Caller{{Rate: Steady(rate)}}, Checks: []Check{unharmed("", 0, forever)},
			})
		}
	}
	return of(NoHarm, list)
}

// givenUp are clients of a healthy service some of which do not wait for it.
func givenUp() []Caller {
	return []Caller{
		{Name: "api", Path: "/api", Rate: Steady(200), Patience: 2 * sec},
		{Name: "polls", Path: "/poll", Rate: Steady(2.4), Useful: forever},
		{Name: "hasty", Path: "/api", Rate: Rate{{0, 40 * sec}, {28, forever}}, Patience: 5 * ms},
	}
}

func of(law Law, list []World) []World {
	for i := range list {
		list[i].Law = law
	}
	return list
}

// pauses make what begins in one wait for its end.
func pauses(each, d time.Duration) func(time.Duration) time.Duration {
	return func(at time.Duration) time.Duration { return max(0, d-at%each) }
}

// flapping has no workers for a time, again and again.
func flapping(workers int, from, to, each, without time.Duration) (r []Resize) {
	for at := from; at < to; at += each {
		r = append(r, Resize{at, 0}, Resize{at + without, workers})
	}
	return r
}

// warming goes from one latency to another and is two thirds there after a time.
func warming(from, to, after time.Duration) func(time.Duration) time.Duration {
	return func(at time.Duration) time.Duration {
		return to + time.Duration(float64(from-to)*decay(at, after))
	}
}
