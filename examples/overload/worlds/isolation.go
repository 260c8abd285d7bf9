package worlds

import (
	"fmt"
	"time"
)

// neighbours returns the worlds in which a part is slow, hung or greedy.
func neighbours() []World {
	var list []World
	for _, c := range []struct {
		slow     time.Duration
		n        int
		patterns bool
	}{
		{500 * ms, 20, true}, {2 * sec, 40, true}, {3 * sec, 60, true}, {5 * sec, 20, true}, {3 * sec, 60, false}, {sec, 20, false},
	} {
		list = append(list, World{
			Name:   fmt.Sprintf("twice the capacity of one route beside %d slow calls of %v, %s", c.n, c.slow, naming(c.patterns)),
			Length: 100 * sec, Capacity: 400, Patterns: c.patterns, Short: c.n == 60 && c.patterns,
			Service: Routes(map[string]Service{"/api": Pool(4, Exactly(10*ms)), "/slow": Sleep(Exactly(c.slow))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Rate{{200, 30 * sec}, {800, forever}}, Patience: sec},
				{Name: "slow", Path: "/slow", Rate: Steady(float64(c.n) / c.slow.Seconds()), Useful: forever}},
			Checks: []Check{
				{Name: "useful, api", Bound: .9, Figure: func(o *Outcome) float64 { return o.Rate("api", 40*sec, 100*sec) / 400 }},
				spared("slow", 0, forever),
			},
		})
	}
	for _, flood := range []float64{400, 1000, 3000} {
		list = append(list, World{
			Name:   fmt.Sprintf("one caller asks for %.0f a second of 200, another for 20", flood),
			Length: 40 * sec, Capacity: 200, Room: 6, Short: flood == 1000, Service: Pool(4, Exactly(20*ms)),
			Callers: []Caller{{Name: "greedy", Rate: Rate{{0, 10 * sec}, {flood, forever}}}, {Name: "quiet", Rate: Steady(20)}},
			Checks: []Check{
				spared("quiet", 15*sec, forever),
				{Name: "useful", Bound: .95, Figure: func(o *Outcome) float64 { return o.Rate("", 20*sec, 40*sec) / 200 }},
			},
		})
	}
	for _, patterns := range []bool{true, false} {
		with := ", " + naming(patterns)
		list = append(list, World{
			Name: "one route hangs for a minute" + with, Length: 60 * sec, Patterns: patterns, Short: patterns,
			Service: Routes(map[string]Service{"/fast": Sleep(Exponential(10 * ms)), "/report": Sleep(From(10*sec, Exactly(60*sec), Exponential(20*ms)))}),
			Callers: []Caller{{Name: "fast", Path: "/fast", Rate: Steady(200), Patience: sec}, {Name: "report", Path: "/report", Rate: Steady(20), Patience: sec}},
			Checks:  []Check{spared("fast", 0, forever)},
		}, World{
			Name: "one route is asked for five times what its pool can" + with, Length: 60 * sec, Patterns: patterns, Short: patterns,
			Service: Routes(map[string]Service{"/fast": Sleep(Exponential(5 * ms)), "/report": Pool(2, Exponential(50*ms))}),
			Callers: []Caller{{Name: "fast", Path: "/fast", Rate: Steady(100), Patience: 500 * ms},
				{Name: "report", Path: "/report", Rate: Rate{{20, 10 * sec}, {200, forever}}, Patience: sec}},
			Checks: []Check{spared("fast", 0, forever), {Name: "useful, report", Bound: .9, Figure: func(o *Outcome) float64 { return o.Rate("report", 20*sec, 60*sec) / 40 }}},
		})
	}
	return of(Isolation, append(list, []World{
		{
			Name: "a fifth of the calls hang, 500 ms announced", Length: 60 * sec, Patterns: true,
			Service: Routes(map[string]Service{"/": Sleep(Exponential(10 * ms)), "/hung": Sleep(From(20*sec, Exactly(60*sec), Exponential(10*ms)))}),
			Callers: []Caller{{Name: "others", Rate: Steady(160), Patience: 500 * ms, Announce: true}, {Name: "hung", Path: "/hung", Rate: Steady(40), Patience: 500 * ms, Announce: true}},
			Checks:  []Check{spared("others", 0, forever)},
		}, {
			Name: "a fifth of the calls hang, no pattern", Length: 60 * sec,
			Service: Either(.2, Sleep(From(20*sec, Exactly(60*sec), Exponential(10*ms))), Sleep(Exponential(10*ms))),
			Callers: []Caller{{Rate: Steady(200), Patience: 500 * ms}},
			Checks:  []Check{{Name: "served", Bound: .1, Without: true, Figure: func(o *Outcome) float64 { return o.Served("", 0, forever) }}},
		}, {
			Name: "64 uploads that dribble for a minute", Length: 60 * sec, Short: true,
			Service: Routes(map[string]Service{"/up": Upload(), "/api": Sleep(Exactly(5 * ms))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(200), Patience: sec}, {Name: "uploads", Path: "/up", Burst: 64, Every: 5 * sec, Upload: 60 * sec, Useful: forever}},
			Checks:  []Check{spared("api", 0, forever)},
		}, {
			Name: "64 clients that do not read their answers", Length: 60 * sec, Short: true,
			Service: Routes(map[string]Service{"/big": Download(), "/api": Sleep(Exactly(5 * ms))}),
			Callers: []Caller{{Name: "api", Path: "/api", Rate: Steady(200), Patience: sec}, {Name: "big", Path: "/big", Burst: 64, Every: 5 * sec, Download: 60 * sec, Useful: forever}},
			Checks:  []Check{spared("api", 0, forever)},
		}, {
			Name: "streams of a minute beside twice the capacity of the others", Length: 90 * sec, Capacity: 200,
			Service: Routes(map[string]Service{"/events": Stream(About(60 * sec)), "/api": Pool(4, Exponential(20*ms))}),
			Callers: []Caller{{Name: "events", Path: "/events", Rate: Steady(5), Useful: forever}, {Name: "api", Path: "/api", Rate: Rate{{100, 30 * sec}, {400, 60 * sec}, {100, forever}}, Patience: sec}},
			Checks: []Check{
				{Name: "useful, api", Bound: .9, Figure: func(o *Outcome) float64 { return o.Rate("api", 40*sec, 60*sec) / 200 }},
				{Name: "served after, api", Bound: .99, Figure: func(o *Outcome) float64 { return o.Served("api", 62*sec, 90*sec) }},
			},
		},
	}...))
}

func naming(patterns bool) string {
	if patterns {
		return "patterns"
	}
	return "no patterns"
}
