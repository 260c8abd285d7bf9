package limiter

import (
	"math"
	"testing"
	"time"
)

// traffic is what happens in some windows, one after the other.
type traffic struct {
	windows  int // 0: one
	n        int // completions in each, evenly spread over 100 ms, or span
	span     time.Duration
	took     time.Duration // each of them
	inFlight int
	gone     int // of the completions: their clients left
	shed     int // requests refused
	route    string
	goneFrom string        // route of those whose clients left, if another
	cohort   int           // of the completions: they belong to the probe
	wait     time.Duration // goroutines wait so long for a processor
}

// The rules of the limit, a row each. A learnt limit has seen 20 calm windows: 1000
// requests a second of 10 ms each, so that 10 in flight keep the handler busy and
// three times that, 30, are enough. It binds at 80, where a probe is due after 10 s.
func TestLimitRules(t *testing.T) {
	learnt := traffic{windows: 20, n: 100, took: 10 * time.Millisecond, inFlight: 20}
	full := traffic{windows: 80, n: 100, took: 10 * time.Millisecond, inFlight: 80, shed: 1}
	for _, tt := range []struct {
		name     string
		least    float64
		most     float64 // 0: 1000
		fixed    float64
		traffic  []traffic
		limit    float64
		baseline time.Duration
	}{
		{name: "at first it is 64", limit: 64},
		{name: "at first it is not below the minimum", least: 100, limit: 100},
		{name: "at first it is not above the maximum", most: 10, limit: 10},
		{name: "a window has 50 completions", traffic: []traffic{{n: 49, took: time.Millisecond, inFlight: 1}}, limit: 64},
		{name: "a window takes 100 ms", traffic: []traffic{{n: 500, took: time.Millisecond, inFlight: 1, span: 99 * time.Millisecond}}, limit: 64},
		{name: "after 2 s a window has 10 completions", limit: 64 * .98, baseline: time.Millisecond,
			traffic: []traffic{{n: 10, took: time.Millisecond, inFlight: 1, span: 2 * time.Second}}},
		{name: "new and calm: the baseline is the mean of the windows", limit: 64 * .98 * .98 * .98 * .98 * .98, baseline: 12 * time.Millisecond,
			traffic: []traffic{{windows: 4, n: 50, took: 10 * time.Millisecond, inFlight: 5}, {n: 50, took: 20 * time.Millisecond, inFlight: 5}}},
		{name: "new and refusing: the baseline is the least of the windows", limit: 64 * .98 * .98 * .98 * .98 * .98, baseline: 10 * time.Millisecond,
			traffic: []traffic{{windows: 4, n: 50, took: 20 * time.Millisecond, inFlight: 5}, {n: 50, took: 10 * time.Millisecond, inFlight: 5, shed: 1}}},
		{name: "new and refusing: a slower window does not raise the baseline", limit: 3 * 5, baseline: 10 * time.Millisecond,
			traffic: []traffic{{windows: 4, n: 50, took: 10 * time.Millisecond, inFlight: 5}, {n: 50, took: 20 * time.Millisecond, inFlight: 5, shed: 1}}},
		{name: "calm: four times the most in flight, one window late", limit: 80, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt}},
		{name: "calm with less in flight: it falls slowly", limit: 80 * math.Exp(-3./30), baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {windows: 31, n: 100, took: 10 * time.Millisecond, inFlight: 10}}},
		{name: "it binds and more in flight serve more: half as much again", limit: 120, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 150, took: 10 * time.Millisecond, inFlight: 80}}},
		{name: "it binds and no more are served: it does not grow", limit: 120 * .98, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 150, took: 10 * time.Millisecond, inFlight: 80}, {n: 150, took: 10 * time.Millisecond, inFlight: 120}}},
		{name: "three times the baseline: overloaded, what is enough", limit: 30, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 31 * time.Millisecond, inFlight: 31}}},
		{name: "loaded: what is in flight, no more", limit: 50, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 25 * time.Millisecond, inFlight: 50}}},
		{name: "more than a tenth of the clients left: less than what is in flight", limit: .7 * 20, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 10 * time.Millisecond, inFlight: 20, gone: 11}}},
		{name: "fewer clients left: as if calm", limit: 80, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 10 * time.Millisecond, inFlight: 20, gone: 9}}},
		{name: "all clients left: not below what keeps it busy", limit: 10, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 10 * time.Millisecond, inFlight: 12, gone: 100}}},
		{name: "the minimum is kept", least: 40, limit: 40, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 31 * time.Millisecond, inFlight: 31}}},
		{name: "the maximum is kept", most: 100, limit: 100, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 150, took: 10 * time.Millisecond, inFlight: 80}}},
		{name: "a given limit stays", fixed: 25, limit: 25, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 100 * time.Millisecond, inFlight: 25, gone: 50, shed: 5}}},
		{name: "a route hangs and another does not: no cut", limit: 80, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 10 * time.Millisecond, inFlight: 20, gone: 50, goneFrom: "/hung"}}},
		{name: "a slow route has a baseline of its own", limit: 80, baseline: 100 * time.Millisecond,
			traffic: []traffic{learnt, {n: 100, took: 100 * time.Millisecond, inFlight: 20, route: "/slow"}}},
		{name: "no client stays from the start: their latency is all that is known", limit: .7 * 64, baseline: time.Second,
			traffic: []traffic{{n: 100, took: time.Second, inFlight: 64, gone: 100}}},
		{name: "a second of shedding: probe at half of what keeps it busy", limit: 5, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, full}},
		{name: "the probe is faster by far: the baseline is its latency", limit: 3 * 5, baseline: 5 * time.Millisecond,
			traffic: []traffic{learnt, full, {n: 32, took: 5 * time.Millisecond, inFlight: 5, cohort: 32}}},
		{name: "the probe is a little faster: the baseline goes half of the way", limit: 3 * 10 * math.Sqrt(.8), baseline: 8944 * time.Microsecond,
			traffic: []traffic{learnt, full, {n: 32, took: 8 * time.Millisecond, inFlight: 5, cohort: 32}}},
		{name: "the probe is slower by far: 12 of it are enough", limit: 3 * 30, baseline: 30 * time.Millisecond,
			traffic: []traffic{learnt, full, {n: 12, took: 30 * time.Millisecond, inFlight: 5, cohort: 12}}},
		{name: "only the cohort counts in a probe", limit: 5, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, full, {n: 100, took: 30 * time.Millisecond, inFlight: 5}}},
		{name: "goroutines wait long for a processor: less than what is in flight", limit: .8 * 40, baseline: 10 * time.Millisecond,
			traffic: []traffic{learnt, {windows: 6, n: 100, took: 10 * time.Millisecond, inFlight: 40, wait: 100 * time.Millisecond}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.least == 0 {
				tt.least = 2
			}
			if tt.most == 0 {
				tt.most = 1000
			}
			a := newAdaptiveLimit(tt.least, tt.most)
			if tt.fixed > 0 {
				a.fixed, a.limit = true, tt.fixed
			}
			var wait time.Duration
			a.sched = newSchedLimit(10*time.Millisecond, func() (SchedulerSample, bool) {
				return SchedulerSample{P99: wait, Processors: 1}, true
			})
			start := time.Second
			for _, tr := range tt.traffic {
				wait = tr.wait
				start = tr.play(&a, start)
			}
			if math.Abs(a.limit-tt.limit) > 1e-4*tt.limit {
				t.Errorf("got limit %.3f, want %.3f", a.limit, tt.limit)
			}
			if got := time.Duration(a.baseline); (got - tt.baseline).Abs() > tt.baseline/1000 {
				t.Errorf("got baseline %v, want %v", got, tt.baseline)
			}
		})
	}
}

// play lets the traffic happen from start on, and returns when it is over.
func (tr traffic) play(a *adaptiveLimit, start time.Duration) time.Duration {
	if tr.span == 0 {
		tr.span = 100 * time.Millisecond
	}
	for range max(1, tr.windows) {
		if a.window.unstarted {
			// A first window begins with its first request.
			a.window.unstarted, a.window.since, a.born = false, start, start
		}
		a.shed(tr.shed)
		for i := range tr.n {
			c := Completion{
				At: start + tr.span*time.Duration(i+1)/time.Duration(tr.n), Took: tr.took,
				InFlight: tr.inFlight, Weight: 1, Gone: i < tr.gone, Route: tr.route,
			}
			if c.Gone && tr.goneFrom != "" {
				c.Route = tr.goneFrom
			}
			if i < tr.cohort {
				c.Probe = a.admitted()
			}
			a.completed(c)
		}
		start += tr.span
	}
	return start
}
