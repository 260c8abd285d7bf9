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
	inFlight int           // 0: as many as the limit
	gone     int           // of the completions: their clients had left
	failed   int           // of the completions
	shed     int           // requests refused
	waiting  bool          // requests wait
	route    string
	other    string        // route of those whose clients had left, if another
	wait     time.Duration // goroutines wait so long for a processor
	notFirst bool          // requests from after the first ones
	until    string        // play windows until this is why the limit moved
}

// The rules of the limit, a row each. A learnt limit has seen calm windows of 1000
// requests a second, 10 ms each, with 10 in flight: its limit is what 330 ms take,
// 330. A full one has as many in flight as the limit, and refuses others.
func TestLimitRules(t *testing.T) {
	ms := time.Millisecond
	learnt := traffic{windows: 60, n: 100, took: 10 * ms, inFlight: 10}
	slow := traffic{windows: 40, n: 100, took: 330 * ms, shed: 50}
	turn := traffic{windows: 2, n: 100, took: 330 * ms, inFlight: 200} // from quick to slow
	less := slow
	less.until = "trial of less"
	for _, tt := range []struct {
		name    string
		least   float64
		most    float64 // 0: 10,000
		fixed   float64
		said    time.Duration // by clients, how long they wait
		traffic []traffic
		limit   float64
		why     string
		usual   time.Duration // 0: any
	}{
		{name: "at first it is high", limit: 1024, why: "start"},
		{name: "at first it is not below the minimum", least: 2000, limit: 2000, why: "start"},
		{name: "at first it is not above the maximum", most: 10, limit: 10, why: "start"},
		{name: "calm: what is served while clients hardly wait", traffic: []traffic{learnt}, limit: 330, why: "start", usual: 10 * ms},
		{name: "calm: four times the most in flight", limit: 1138, why: "start",
			traffic: []traffic{learnt, {windows: 8, n: 100, took: 10 * ms, inFlight: 14}, {windows: 3, n: 100, took: 10 * ms, inFlight: 14}, {windows: 2, n: 1000, took: 10 * ms, inFlight: 100}, {windows: 2, n: 1000, took: 10 * ms, inFlight: 90}}},
		{name: "calm and rare: 16", limit: 16, why: "start",
			traffic: []traffic{{windows: 30, n: 16, span: sec, took: 10 * ms, inFlight: 1}}},
		{name: "clients say that they wait long: half of that", said: 2 * sec, traffic: []traffic{learnt}, limit: 1000, why: "start"},
		{name: "the minimum is kept", least: 500, traffic: []traffic{learnt}, limit: 500, why: "start"},
		{name: "a given limit stays", fixed: 25, limit: 25, why: "start", traffic: []traffic{learnt, slow}},
		{name: "errors teach nothing", limit: 330, why: "start", usual: 10 * ms,
			traffic: []traffic{learnt, {windows: 50, n: 1000, took: time.Microsecond, inFlight: 1, failed: 1000}}},
		{name: "nor do errors among answers", limit: 330, why: "start", usual: 10 * ms,
			traffic: []traffic{learnt, {windows: 50, n: 200, took: 10 * ms, inFlight: 10, failed: 100}}},
		{name: "it binds and requests are as quick as ever: half as much again", limit: 495, why: "as quick as ever",
			traffic: []traffic{learnt, {n: 300, took: 14 * ms, shed: 1}}},
		{name: "it does not bind: it stays, though they are slow", limit: 330, why: "start",
			traffic: []traffic{learnt, {windows: 3, n: 100, took: 200 * ms, inFlight: 200}}},
		{name: "it binds, they are slow, more is asked for: a quarter", limit: 83, why: "trial of less", traffic: []traffic{learnt, turn, less}},
		{name: "fewer serve as many: it stays low", limit: 83, why: "as many answers with less in flight",
			traffic: []traffic{learnt, turn, less, {windows: 20, n: 100, took: 83 * ms, shed: 50, until: "as many answers with less in flight"}}},
		{name: "fewer serve fewer: back", limit: 330, why: "fewer answers with less in flight",
			traffic: []traffic{learnt, turn, less, {windows: 20, n: 68, took: 122 * ms, shed: 50, until: "fewer answers with less in flight"}}},
		{name: "as many fewer: then more is tried", limit: 660, why: "trial of more, as answers were fewer with less in flight", usual: 330 * ms,
			traffic: []traffic{learnt, turn, less, {windows: 80, n: 25, took: 330 * ms, shed: 10, until: "trial of more, as answers were fewer with less in flight"}}},
		{name: "no more is asked for: twice", limit: 660, why: "trial of more, as no more is asked for",
			traffic: []traffic{learnt, turn, {windows: 40, n: 60, took: 330 * ms, shed: 10, until: "trial of more, as no more is asked for"}}},
		{name: "more serve more: it stays", limit: 660, why: "more answers with more in flight", usual: 330 * ms,
			traffic: []traffic{learnt, turn, {windows: 40, n: 60, took: 330 * ms, shed: 10, until: "trial of more, as no more is asked for"}, {windows: 40, n: 115, took: 330 * ms, shed: 1, until: "more answers with more in flight"}}},
		{name: "more serve no more: back", limit: 330, why: "no more answers with more in flight",
			traffic: []traffic{learnt, turn, {windows: 40, n: 60, took: 330 * ms, shed: 10, until: "trial of more, as no more is asked for"}, {windows: 40, n: 60, took: 660 * ms, shed: 1, until: "no more answers with more in flight"}}},
		{name: "nobody needs more: it stays high", limit: 660, why: "nobody needs more",
			traffic: []traffic{learnt, turn, {windows: 40, n: 60, took: 330 * ms, shed: 10, until: "trial of more, as no more is asked for"}, {windows: 40, n: 90, took: 330 * ms, inFlight: 340, until: "nobody needs more"}}},
		{name: "clients leave: what is served in half of their time", limit: 100, why: "clients do not wait for so long",
			traffic: []traffic{learnt, {windows: 8, n: 100, took: 200 * ms, gone: 50, shed: 1, until: "clients do not wait for so long"}}},
		{name: "some clients leave, the others are served as quickly as ever: no load", limit: 495, why: "as quick as ever",
			traffic: []traffic{learnt, {windows: 1, n: 100, took: 10 * ms, gone: 11, shed: 1}}},
		{name: "young: more in flight and no more answers: what is in flight", limit: 100, why: "start",
			traffic: []traffic{{n: 16, took: 10 * ms, inFlight: 4, span: 100 * ms}, {n: 16, took: 30 * ms, inFlight: 80}, {n: 16, took: 40 * ms, inFlight: 100}, {n: 16, took: 50 * ms, inFlight: 120}}},
		{name: "young: more in flight and more answers: it stays", limit: 908, why: "start",
			traffic: []traffic{{n: 16, took: 10 * ms, inFlight: 4}, {n: 160, took: 30 * ms, inFlight: 40}, {n: 200, took: 40 * ms, inFlight: 50}}},
		{name: "more in flight than are served while clients wait: they are tried", said: 580 * ms, limit: 580, why: "trial of more, as no more is asked for",
			traffic: []traffic{learnt, {windows: 3, n: 100, took: 20 * ms, inFlight: 310}, {windows: 30, n: 100, took: 310 * ms, inFlight: 300, until: "trial of more, as no more is asked for"}}},
		{name: "a handler that stands still tells nothing", limit: 303, why: "start",
			traffic: []traffic{learnt, {windows: 2, n: 1, span: 5 * sec, took: 10 * sec, inFlight: 10, gone: 1}, {n: 49, span: 49 * ms, took: 10 * sec, gone: 49, shed: 10}}},
		{name: "goroutines wait long for a processor: less than what is in flight", limit: .8 * 40, why: "as quick as ever",
			traffic: []traffic{learnt, {windows: 6, n: 100, took: 10 * ms, inFlight: 40, wait: 100 * ms}}},
		{name: "the load goes during a trial of less: back", limit: 330, why: "the load has gone",
			traffic: []traffic{learnt, turn, less, {windows: 20, n: 100, took: 10 * ms, inFlight: 10, until: "the load has gone"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.least == 0 {
				tt.least = 2
			}
			if tt.most == 0 {
				tt.most = 10_000
			}
			a := newAdaptiveLimit(tt.least, tt.most)
			if tt.fixed > 0 {
				a.fixed, a.limit = true, tt.fixed
			}
			if tt.said > 0 {
				a.patience.say(tt.said.Seconds())
			}
			var wait time.Duration
			a.sched = newSchedLimit(10*time.Millisecond, func() (SchedulerSample, bool) {
				return SchedulerSample{P99: wait, Processors: 1}, true
			})
			start := sec
			for _, tr := range tt.traffic {
				wait = tr.wait
				start = tr.play(&a, start)
			}
			if math.Abs(a.limit-tt.limit) > .02*tt.limit || a.why != tt.why {
				t.Errorf("got limit %.1f, %q, want %.0f, %q", a.limit, a.why, tt.limit, tt.why)
			}
			if got := time.Duration(math.Exp(a.routes.plain.usual)); tt.usual > 0 && (got-tt.usual).Abs() > tt.usual/50 {
				t.Errorf("got a usual latency of %v, want %v", got, tt.usual)
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
		inFlight := tr.inFlight
		if inFlight == 0 {
			inFlight = int(a.limit)
		}
		if a.window.since == 0 {
			a.window.since = start // a first window begins with its first request
		}
		a.shed(tr.shed)
		for i := range tr.n {
			c := Completion{
				At: start + tr.span*time.Duration(i+1)/time.Duration(tr.n), Took: tr.took, InFlight: inFlight,
				Waiting: tr.waiting, Slot: Slot{Weight: 1, First: !tr.notFirst}, Route: tr.route,
			}
			switch {
			case i%tr.n < tr.gone:
				c.Outcome = Gone
				if tr.other != "" {
					c.Route = tr.other
				}
			case i >= tr.n-tr.failed:
				c.Outcome = Failed
			}
			a.completed(c)
		}
		start += tr.span
		if tr.until != "" && a.why == tr.until {
			break
		}
	}
	return start
}
