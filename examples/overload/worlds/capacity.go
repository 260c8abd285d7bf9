package worlds

import (
	"fmt"
	"math"
	"time"
)

func decay(at, after time.Duration) float64 { return math.Exp(-at.Seconds() / after.Seconds()) }

// overCapacity returns the worlds in which more is asked than can be done.
func overCapacity() []World {
	var list []World
	for _, perSecond := range []float64{250, 400, 1000} {
		for _, patience := range []time.Duration{0, 2 * sec, 10 * sec} {
			list = append(list, World{
				Name: fmt.Sprintf("starts into %.0f a second of 200, %s", perSecond, waiting(patience)), Short: patience == 0,
				Length: 40 * sec, Capacity: 200, Room: 6, Service: Pool(4, Exponential(20*ms)),
				Callers: []Caller{{Rate: Steady(perSecond), Patience: patience, Useful: sec}},
				Checks:  []Check{useful(200, 10*sec, 40*sec)},
			})
		}
	}
	for _, patience := range []time.Duration{100 * ms, 500 * ms, 0} {
		list = append(list, World{
			Name: "starts into twice its capacity, " + waiting(patience), Length: 40 * sec, Capacity: 200, Room: 6,
			Service: Pool(4, About(20*ms)), Callers: []Caller{{Rate: Steady(400), Patience: patience, Announce: patience > 0}},
			Checks: []Check{useful(200, 10*sec, 40*sec)},
		})
	}
	return of(Capacity, append(list, []World{
		{
			Name: "starts into ten times its capacity", Length: 30 * sec, Capacity: 200, Room: 6, Service: Pool(4, Exponential(20*ms)),
			Callers: []Caller{{Rate: Steady(2000), Patience: sec}}, Checks: []Check{useful(200, 10*sec, 30*sec)},
		}, {
			Name: "starts into 5 % more than its capacity", Length: 60 * sec, Capacity: 200, Room: 6, Service: Pool(4, Exponential(20*ms)),
			Callers: []Caller{{Rate: Steady(210)}}, Checks: []Check{useful(200, 10*sec, 60*sec)},
		}, {
			Name: "two cores, twice their capacity", Length: 40 * sec, Capacity: 400, Room: 3, Short: true, Service: CPU(2, .001, Exponential(5*ms)),
			Callers: []Caller{{Rate: Rate{{280, 10 * sec}, {800, 30 * sec}, {280, forever}}, Patience: 500 * ms}},
			Checks:  []Check{useful(400, 12*sec, 30*sec), back(32*sec, forever)},
		}, {
			Name: "one lock in a call of 50 ms, twice its capacity", Length: 40 * sec, Capacity: 100, Room: 8, Short: true,
			Service: Row(Sleep(Exactly(40*ms)), Pool(1, Exactly(10*ms))),
			Callers: []Caller{{Rate: Rate{{70, 10 * sec}, {200, 30 * sec}, {70, forever}}}},
			Checks:  []Check{useful(100, 12*sec, 30*sec), back(32*sec, forever)},
		}, {
			Name: "starts into three times its capacity, which grows tenfold", Length: 40 * sec, Capacity: 200, Room: 6, Short: true,
			Service: Pool(4, Exponential(20*ms), Resize{20 * sec, 40}), Callers: []Caller{{Rate: Steady(600)}},
			Checks: []Check{useful(200, 10*sec, 20*sec), back(22*sec, forever)},
		}, {
			Name: "ten times slower for 20 s", Length: 60 * sec, Capacity: 640, Room: 48, Short: true,
			Service: Pool(32, During(20*sec, 40*sec, About(500*ms), About(50*ms))), Callers: []Caller{{Rate: Steady(448), Patience: 2 * sec}},
			Checks: []Check{useful(64, 30*sec, 40*sec), back(42*sec, forever)},
		}, {
			Name: "five times slower for a minute", Length: 90 * sec, Capacity: 250, Room: 8,
			Service: Pool(5, During(10*sec, 70*sec, Exponential(100*ms), Exponential(20*ms))), Callers: []Caller{{Rate: Steady(175), Patience: sec}},
			Checks: []Check{useful(50, 20*sec, 70*sec), back(72*sec, forever)},
		}, {
			Name: "a stall of 10 s, then 300 ms slower", Length: 60 * sec, Capacity: 250, Room: 100, Short: true,
			Service: Row(Pool(5, Exponential(20*ms), Resize{10 * sec, 0}, Resize{20 * sec, 5}), Sleep(From(20*sec, Between(250*ms, 350*ms), Exactly(0)))),
			Callers: []Caller{{Rate: Steady(175), Patience: sec}}, Checks: []Check{back(22*sec, forever)},
		}, {
			Name: "a stall of 10 s", Length: 50 * sec, Capacity: 250, Room: 8,
			Service: Pool(5, Exponential(20*ms), Resize{10 * sec, 0}, Resize{20 * sec, 5}),
			Callers: []Caller{{Rate: Steady(175), Patience: sec}}, Checks: []Check{back(22*sec, forever)},
		}, {
			Name: "four of five workers gone for 10 s", Length: 40 * sec, Capacity: 250, Room: 8,
			Service: Pool(5, Exponential(20*ms), Resize{10 * sec, 1}, Resize{20 * sec, 5}), Callers: []Caller{{Rate: Steady(175), Patience: sec}},
			Checks: []Check{useful(50, 12*sec, 20*sec), back(22*sec, forever)},
		}, {
			Name: "half of the workers every other 10 s, 1 s announced", Length: 60 * sec, Capacity: 400, Room: 12,
			Service: Pool(8, Exponential(20*ms), Resize{10 * sec, 4}, Resize{20 * sec, 8}, Resize{30 * sec, 4}, Resize{40 * sec, 8}, Resize{50 * sec, 4}),
			Callers: []Caller{{Rate: Steady(300), Patience: sec, Announce: true}},
			Checks:  []Check{useful(200, 30*sec, 40*sec), back(42*sec, 50*sec)},
		}, {
			Name: "half of the calls are cached, twice what the others can", Length: 40 * sec, Capacity: 320, Room: 20,
			Service: Either(.5, Sleep(Exactly(ms)), Pool(8, Exponential(50*ms))), Callers: []Caller{{Rate: Rate{{256, 20 * sec}, {640, forever}}}},
			Checks: []Check{asWithout("", 0, 20*sec), useful(320, 22*sec, 40*sec)},
		}, {
			Name: "twice the capacity for 10 s and next to nothing for 10 s", Length: 60 * sec, Capacity: 400, Room: 12, Short: true,
			Service: Pool(8, Exponential(20*ms)),
			Callers: []Caller{{Rate: Rate{{800, 10 * sec}, {40, 20 * sec}, {800, 30 * sec}, {40, 40 * sec}, {800, 50 * sec}, {40, 60 * sec}}, Patience: sec, Announce: true}},
			Checks:  []Check{useful(400, 20*sec, 30*sec).called("useful, second time"), useful(400, 40*sec, 50*sec).called("useful, third time"), back(52*sec, forever)},
		}, {
			Name: "one in twenty costs twenty times as much, 1.5 times the capacity", Length: 40 * sec, Capacity: 410, Room: 12,
			Service: Pool(8, Mix(.05, Exactly(200*ms), Exactly(10*ms))), Callers: []Caller{{Rate: Rate{{290, 10 * sec}, {615, forever}}}},
			Checks: []Check{useful(410, 12*sec, 40*sec)},
		}, {
			Name: "two pools in a row, three times the smaller", Length: 40 * sec, Capacity: 150, Room: 10,
			Service: Row(Pool(10, Exponential(10*ms)), Pool(3, Exponential(20*ms))),
			Callers: []Caller{{Rate: Rate{{100, 10 * sec}, {450, forever}}, Patience: 2 * sec}}, Checks: []Check{useful(150, 12*sec, 40*sec)},
		}, {
			Name: "waves of 0.3 to 1.6 of the capacity", Length: 60 * sec, Capacity: 400, Room: 12, Service: Pool(8, Exponential(20*ms)),
			Callers: []Caller{{Rate: Waves(120, 640, 20*sec, 60*sec)}},
			// The waves ask for 277 a second of what can be done, and what came in a crest can wait.
			Checks: []Check{{Name: "useful per second", Bound: .95 * 316, Figure: func(o *Outcome) float64 { return o.Rate("", 20*sec, 60*sec) }}},
		}, {
			Name: "lognormal work, three times the capacity", Length: 40 * sec, Capacity: 400, Room: 24, Service: Pool(16, Lognormal(40*ms, 1.2)),
			Callers: []Caller{{Rate: Rate{{250, 10 * sec}, {1200, forever}}, Patience: 800 * ms}}, Checks: []Check{useful(400, 12*sec, 40*sec)},
		}, {
			Name: "retries of clients, twice the capacity", Length: 40 * sec, Capacity: 200, Room: 6, Service: Pool(4, Exponential(20*ms)),
			Callers: []Caller{{Rate: Rate{{140, 10 * sec}, {400, 30 * sec}, {140, forever}}, Patience: 500 * ms, Attempts: 3}},
			Checks:  []Check{useful(200, 12*sec, 30*sec), back(33*sec, forever)},
		}, {
			Name: "polls of 10 s without a pattern fill the slots beside an overload", Length: 60 * sec, Capacity: 200,
			Service: Routes(map[string]Service{"/poll": Sleep(Exactly(10 * sec)), "/x": Pool(4, Exponential(20*ms))}),
			Callers: []Caller{{Name: "api", Path: "/x", Rate: Rate{{120, 30 * sec}, {400, forever}}},
				{Name: "polls", Path: "/poll", Rate: Rate{{6, 30 * sec}, {20, forever}}, Useful: forever}},
			Checks: []Check{unharmed("polls", 0, 30*sec), {Name: "useful, api", Bound: .9, Figure: func(o *Outcome) float64 { return o.Rate("api", 40*sec, 60*sec) / 200 }}},
		},
	}...))
}

func waiting(patience time.Duration) string {
	if patience == 0 {
		return "patient clients"
	}
	return fmt.Sprintf("clients go after %v", patience)
}
