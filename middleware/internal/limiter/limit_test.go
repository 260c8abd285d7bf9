package limiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever completes, in whatever order, the limit is a number within its
// bounds, and so is what it rests on.
func TestLimitIsANumber(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		a := newAdaptiveLimit(2, 1000)
		now := time.Duration(r.Int64N(int64(time.Hour)))
		routes := []string{"", "/a", "/b"}
		for phase := range 20 {
			gone, failed, load := r.Float64(), r.Float64()/2, 1+r.IntN(2000)
			if phase%3 == 0 {
				gone = float64(r.IntN(2)) // all of them, or none
			}
			mean := time.Duration(1) << r.IntN(34)
			for range r.IntN(300) {
				now += time.Duration(r.ExpFloat64() * float64(time.Second) / float64(load))
				took := time.Duration(r.ExpFloat64() * float64(mean))
				if r.IntN(4) == 0 {
					a.shed(r.IntN(5))
				}
				if r.IntN(9) == 0 {
					a.short(now)
				}
				outcome := Served
				switch {
				case r.Float64() < gone:
					outcome = Gone
				case r.Float64() < failed:
					outcome = Failed
				}
				a.completed(Completion{
					At: now, Took: min(took, now), InFlight: 1 + r.IntN(1+int(a.limit)), Waiting: r.IntN(9) == 0,
					Slot: Slot{Weight: uint8(1 + r.IntN(16)), First: r.IntN(2) == 0}, Outcome: outcome, Route: routes[r.IntN(3)],
				}, r.IntN(3))
				if !(a.limit >= a.min && a.limit <= a.max) {
					t.Fatalf("seed %d: the limit is %v", seed, a.limit)
				}
				for name, v := range map[string]float64{"baseline": a.baseline, "work": a.work, "asked": a.asked, "peak": a.calm.peak, "level": a.calm.level, "most": a.calm.most, "patience": a.patience.known(), "base": a.trials.base, "latency": a.latency} {
					if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
						t.Fatalf("seed %d: %s is %v", seed, name, v)
					}
				}
			}
		}
	}
}

// How many requests are served at a time before anything is known.
func TestLimitStarts(t *testing.T) {
	for _, tt := range []struct {
		name        string
		least, most float64
		want        float64
	}{
		{"64", 2, 10_000, 64},
		{"the minimum, if that is more", 600, 10_000, 600},
		{"the maximum, if that is less", 2, 10, 10},
		{"the one that is allowed", 25, 25, 25},
	} {
		if a := newAdaptiveLimit(tt.least, tt.most); a.limit != tt.want || a.trials.pause != 2*sec {
			t.Errorf("%s: got %v, and %v between trials, want %v", tt.name, a.limit, a.trials.pause, tt.want)
		}
	}
}

// An answer is of use while its client waits. Where nothing is known of that, a second is,
// or what the work takes.
func TestLimitTooLate(t *testing.T) {
	for _, tt := range []struct {
		name         string
		base         float64
		said         float64
		took, waited time.Duration
		outcome      Outcome
		want         int
	}{
		{"nothing is known: a second", .01, 0, sec, 0, Served, 0},
		{"nothing is known: more", .01, 0, sec + 1, 0, Served, 1},
		{"with what it waited for a slot", .01, 0, 900 * ms, 101 * ms, Served, 1},
		{"the work takes long: twice that", .6, 0, 1200 * ms, 0, Served, 0},
		{"the work takes long: more", .6, 0, 1201 * ms, 0, Served, 1},
		{"clients say how long they wait", .01, .5, 2 * sec, 0, Served, 0},
		{"it failed", .01, 0, 2 * sec, 0, Failed, 0},
		{"its client left", .01, 0, 2 * sec, 0, Gone, 0},
	} {
		a := newAdaptiveLimit(2, 1000)
		a.windows, a.last, a.trials.base = 1, time.Hour, tt.base
		if tt.said > 0 {
			a.patience.say(tt.said)
		}
		a.completed(Completion{At: time.Hour, Took: tt.took, Waited: tt.waited, Outcome: tt.outcome, InFlight: 1, Slot: Slot{Weight: 1}}, 0)
		if got := a.window.tooLate; got != tt.want || a.window.n != 1 {
			t.Errorf("%s: got %d too late, want %d", tt.name, got, tt.want)
		}
	}
}

// What is learnt of a request that leaves.
func TestLimitTakesIn(t *testing.T) {
	type learnt struct {
		n, others int
		knows     float64 // how long clients wait, s
		route     int     // completions
		since     time.Duration
		last      float64 // latency that the next one is compared with, s
	}
	done := func(set func(*Completion)) Completion {
		c := Completion{At: time.Hour, Took: sec, Waited: 2 * sec, InFlight: 1, Slot: Slot{Weight: 1, First: true}, Route: "/"}
		if set != nil {
			set(&c)
		}
		return c
	}
	since := time.Hour - sec
	for _, tt := range []struct {
		name    string
		windows int
		done    []Completion
		want    learnt
	}{
		{"the first: it begins as that came", 0, []Completion{done(nil)}, learnt{1, 0, 0, 1, since, 1}},
		{"another, some time after it", 0, []Completion{done(nil), done(func(c *Completion) { c.At += sec })}, learnt{2, 0, 0, 2, since, 1}},
		{"one that met others, before the first ones are back", 0, []Completion{done(func(c *Completion) { c.Slot.First = false })}, learnt{0, 1, 0, 0, since, 0}},
		{"that, and its client has gone", 0, []Completion{done(func(c *Completion) { c.Slot.First, c.Outcome = false, Gone })}, learnt{0, 1, 3, 0, since, 0}},
		{"one that met others, after that", 1, []Completion{done(func(c *Completion) { c.Slot.First = false })}, learnt{1, 0, 0, 1, since, 1}},
		{"its client has gone", 0, []Completion{done(func(c *Completion) { c.Outcome = Gone })}, learnt{1, 0, 3, 1, since, 1}},
		{"one stayed for longer than another that has gone", 0, []Completion{done(func(c *Completion) { c.Outcome, c.Took, c.Waited = Gone, sec, 0 }), done(nil)}, learnt{2, 0, 1.02, 2, since, 1}},
		{"one that failed says nothing of that", 0, []Completion{done(func(c *Completion) { c.Outcome, c.Took, c.Waited = Gone, sec, 0 }), done(func(c *Completion) { c.Outcome = Failed })}, learnt{2, 0, 1, 1, since, 1}},
		{"it took no time", 0, []Completion{done(func(c *Completion) { c.Took = 0 })}, learnt{1, 0, 0, 1, time.Hour - 1, 1e-9}},
		{"it failed: nothing of its route, and no latency", 0, []Completion{done(func(c *Completion) { c.Outcome = Failed })}, learnt{1, 0, 0, 0, since, 0}},
		{"it held no slot: only of its route", 0, []Completion{done(func(c *Completion) { c.Slot.Beyond = 1 })}, learnt{0, 0, 0, 1, since, 1}},
	} {
		a := newAdaptiveLimit(2, 1000)
		a.windows = tt.windows
		for _, c := range tt.done {
			a.completed(c, 0)
		}
		got := learnt{n: a.window.n, others: a.window.others, knows: a.patience.known(), since: a.window.since, last: a.succession.last}
		if r := a.routes.byName["/"]; r != nil {
			if got.route = r.n; math.IsInf(r.logs, 0) {
				t.Errorf("%s: a latency of nothing has no logarithm", tt.name)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// What is asked for is what came back and what was refused, and more in flight or in the
// queue. Of errors, which come soon or late by themselves, none of it.
func TestLimitAsked(t *testing.T) {
	for _, tt := range []struct {
		name           string
		seen           seen
		rise, queued   int
		others         int
		asked, useful  float64
		answers, lasts float64 // answers per second, and those in a window without refusals
	}{
		{name: "all are served", seen: seen{n: 100, seconds: .1, level: 10}, asked: 1000, useful: 1000, answers: 1000, lasts: 1000},
		{name: "others are refused", seen: seen{n: 100, seconds: .1, level: 10, shed: 50}, asked: 1500, useful: 1000, answers: 1000},
		{name: "more are in flight", seen: seen{n: 100, seconds: .1, level: 10}, rise: 20, asked: 1200, useful: 1000, answers: 1000, lasts: 1000},
		{name: "more are in the queue", seen: seen{n: 100, seconds: .1, level: 10}, queued: 30, asked: 1300, useful: 1000, answers: 1000, lasts: 1000},
		{name: "many fewer are in the queue", seen: seen{n: 100, seconds: .1, level: 10}, queued: -130, asked: 0, useful: 1000, answers: 1000, lasts: 1000},
		{name: "half of them fail", seen: seen{n: 100, seconds: .1, level: 10, failed: 50, shed: 100}, asked: 1000, useful: 500, answers: 500},
		{name: "some clients have gone", seen: seen{n: 100, seconds: .1, level: 10, gone: 20}, asked: 1000, useful: 810, answers: 1000, lasts: 1000},
		{name: "others had come before the first", seen: seen{n: 100, seconds: .1, level: 10}, others: 100, asked: 2000, useful: 2000, answers: 2000, lasts: 2000},
	} {
		a := newAdaptiveLimit(2, 1000)
		a.window = *tt.seen.window()
		a.window.lastIn += tt.rise
		a.window.queued, a.window.firstQueued = max(0, tt.queued), max(0, -tt.queued)
		a.window.since, a.window.others = time.Hour, tt.others
		a.rate = 7 // in the window before
		a.close(time.Hour + time.Duration(tt.seen.seconds*1e9))
		for what, v := range map[string][2]float64{"asked": {a.asked, tt.asked}, "of use": {a.useful, tt.useful}, "answers": {a.work, tt.answers}, "lately": {a.rate, tt.lasts}} {
			if math.Abs(v[0]-v[1]) > 1e-6*v[1]+1e-6 {
				t.Errorf("%s: %s: got %v a second, want %v", tt.name, what, v[0], v[1])
			}
		}
	}
}

// What a request takes where the line is short: no more than it takes now, than the work
// takes, or than half of what is late.
func TestLimitBaseline(t *testing.T) {
	for _, tt := range []struct{ latency, base, said, want float64 }{
		{.01, .3, 0, .01}, {.5, .01, 0, .125}, {.5, .2, 0, .2}, {.5, .3, 0, .3}, {.11, .01, 0, .11},
		{.7, .6, 1, .6}, // clients do not wait for twice the work
	} {
		a := settledLimit()
		a.patience.said = tt.said
		a.fixed, a.windows, a.latency, a.trials.base = true, 1, tt.latency, tt.base
		a.window = *seen{n: 100, seconds: .1, level: 10, took: time.Duration(tt.latency * 1e9)}.window()
		a.close(time.Hour)
		if got := a.baseline / 1e9; math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("a latency of %v s, work of %v s: got %v s, want %v s", tt.latency, tt.base, got, tt.want)
		}
	}
}

// The mean latency goes a fifth of the way to that of each window. An error says nothing of it.
func TestLimitLatency(t *testing.T) {
	for _, tt := range []struct {
		name string
		seen seen
		want float64
	}{
		{"as ever", seen{n: 100, seconds: .1, level: 10, took: 100 * ms}, .1},
		{"longer", seen{n: 100, seconds: .1, level: 10, took: 600 * ms}, .2},
		{"shorter", seen{n: 100, seconds: .1, level: 10, took: 50 * ms}, .09},
		{"all of them fail", seen{n: 100, seconds: .1, level: 10, took: 600 * ms, failed: 100}, .1},
	} {
		a := settledLimit()
		a.fixed, a.windows, a.latency = true, 1, .1
		a.window = *tt.seen.window()
		a.window.since = time.Hour
		a.close(time.Hour + 100*ms)
		if math.Abs(a.latency-tt.want) > 1e-9 {
			t.Errorf("%s: got %v s, want %v s", tt.name, a.latency, tt.want)
		}
	}
}

// A clock that stands still or is set back makes a window short, and not less than that.
func TestLimitClock(t *testing.T) {
	for _, after := range []time.Duration{100 * ms, 1, 0, -sec} {
		a := settledLimit()
		a.window = *seen{n: 100, seconds: .1, level: 10}.window()
		a.window.since = time.Hour
		a.close(time.Hour + after)
		for what, v := range map[string]float64{"served": a.work, "asked": a.asked, "of use": a.useful, "in flight": a.calm.level, "even": a.calm.even} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("after %v: %s: got %v", after, what, v)
			}
		}
	}
}

// How long a route usually takes is learnt while it is calm, or where the limit is given.
func TestLimitRoutes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		level int
		fixed bool
		want  bool
	}{{"calm", 50, false, true}, {"it binds", 175, false, false}, {"the limit is given", 175, true, true}} {
		a := settledLimit()
		a.fixed, a.calm.level, a.calm.trend, a.calm.even = tt.fixed, 50, 50, 9
		a.trials.line = tt.fixed
		now := time.Hour
		for _, took := range []time.Duration{50 * ms, 60 * ms} {
			a.window = *seen{n: 100, seconds: .1, level: tt.level, took: took}.window()
			a.window.since = now
			a.routes.add("/", took)
			now += 100 * ms
			a.close(now)
		}
		if got := a.routes.byName["/"].usual > math.Log(.05); got != tt.want || a.routes.line != tt.fixed {
			t.Errorf("%s: learnt: %v, want %v; a line: %v, want %v", tt.name, got, tt.want, a.routes.line, tt.fixed)
		}
	}
}

// Of many requests a part is measured.
func TestLimitEvery(t *testing.T) {
	for rate, want := range map[float64]int32{0: 1, 3999: 1, 4000: 2, 20_000: 10, 1e6: 16} {
		a := adaptiveLimit{rate: rate}
		if got := a.every(); got != want {
			t.Errorf("%v a second: got one in %d, want one in %d", rate, got, want)
		}
	}
}

// How a limit of 175 that binds grows while nothing is late.
func TestLimitGrows(t *testing.T) {
	line := func(work, inTime float64) func(*adaptiveLimit) {
		return func(a *adaptiveLimit) { a.trials.line, a.work, a.trials.inTime = true, work, inTime }
	}
	usual := func(s float64) func(*adaptiveLimit) { return func(a *adaptiveLimit) { a.usual = s } }
	for _, tt := range []struct {
		name   string
		set    func(*adaptiveLimit)
		stale  int // of 200 answers
		begins bool
		want   float64
	}{
		{"half as much again", nil, 0, true, 263},
		{"of the limit before", nil, 41, false, 175},
		{"a fifth of the limit before", nil, 40, false, 263},
		{"slower by less than half", usual(.0149), 0, true, 263},
		{"slower by half, and it has only just begun to bind", usual(.015), 0, true, 175},
		{"slower by half", usual(.015), 0, false, 263},
		{"slower: until a line would be nearly late", usual(.16), 0, false, 191},
		{"nearly late", usual(.175), 0, false, 175},
		{"slower, which is known to be no line", func(a *adaptiveLimit) { a.usual, a.trials.free = .16, time.Minute+1 }, 0, true, 263},
		{"slower, which was", func(a *adaptiveLimit) { a.usual, a.trials.free = .16, time.Minute }, 0, false, 191},
		{"in a line: as far as answers are in time", line(2000, .11), 0, false, 220},
		{"in a line, and they were fewer", line(1950, .11), 0, false, 215},
		{"in a line, and they are fewer now", line(3000, .11), 0, false, 220},
		{"in a line: half as much again", line(2000, .2), 0, false, 263},
		{"in a line, a fifth more", line(2000, .1051), 0, false, 210},
		{"in a line, just a fifth more", line(2000, .105), 0, false, 210},
		{"in a line, hardly more: a trial finds out", line(2000, .1049), 0, false, 175},
		{"in a line, hardly more, and a trial was in vain", func(a *adaptiveLimit) { line(2000, .1)(a); a.trials.hold = time.Minute + 1 }, 0, false, 200},
		{"in a line, hardly more, long after that", func(a *adaptiveLimit) { line(2000, .1)(a); a.trials.hold = time.Minute }, 0, false, 175},
	} {
		a := settledLimit()
		a.usual = .01
		if tt.set != nil {
			tt.set(&a)
		}
		grew := a.grow(time.Minute, seen{n: 200, seconds: .1, level: 175, stale: tt.stale}.window(), tt.begins)
		if a.limit != tt.want || grew != (tt.want > 175) || grew != (a.why != "") {
			t.Errorf("%s: got %v, %v, want %v", tt.name, a.limit, grew, tt.want)
		}
	}
}

// What the first window teaches if most clients leave, after a second each: the latency of one
// that meets no others is at most a fourth of that. Else the window goes on.
func TestClientsLeaveAtTheStart(t *testing.T) {
	for left, over := range map[int]bool{8: false, 9: true, 16: true} {
		a := newAdaptiveLimit(2, 1000)
		for i := range 16 {
			c := Completion{At: time.Hour + time.Duration(i)*ms, Took: sec, InFlight: 16, Slot: Slot{Weight: 1, First: i < 2}}
			if i >= 16-left {
				c.Outcome = Gone
			}
			a.completed(c, 0)
		}
		switch {
		case over != (a.windows == 1):
			t.Errorf("%d of 16 have left: got %d windows", left, a.windows)
		case over && math.Abs(a.trials.base-.25) > .01:
			t.Errorf("%d of 16 have left: got a base of %v s, want .25 s", left, a.trials.base)
		}
	}
}

// The latency of one that meets no others, after a second window in which 1000 requests came:
// if few of them are over, the first ones were in a line.
func TestFirstOnesInALine(t *testing.T) {
	for _, tt := range []struct {
		name    string
		windows int // before
		n, come int
		left    float64 // patience; 0: not known
		want    float64
	}{
		{"half of those that come are over", 1, 500, 1000, 0, 4},
		{"fewer are: a fourth of a second", 1, 499, 1000, 0, .25},
		{"a fourth of what clients wait", 1, 499, 1000, 2, .5},
		{"few windows later", young - 1, 499, 1000, 0, .25},
		{"later", young, 499, 1000, 0, 4},
		{"so few tell nothing", 1, 15, 1000, 0, 4},
		{"16 do", 1, 16, 1000, 0, .25},
	} {
		a := newAdaptiveLimit(2, 1000)
		a.windows, a.usual, a.trials.base, a.patience.left = tt.windows, 4, 4, tt.left
		a.window = *seen{n: tt.n, seconds: 1, level: 1000, took: 5 * sec}.window()
		a.window.shed = tt.come - tt.n
		a.window.since = time.Hour
		a.close(time.Hour + sec)
		if got := a.trials.base; math.Abs(got-tt.want) > .01*tt.want {
			t.Errorf("%s: got %v s, want %v s", tt.name, got, tt.want)
		}
	}
}
