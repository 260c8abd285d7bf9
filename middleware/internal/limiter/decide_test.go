package limiter

import (
	"math"
	"testing"
	"time"
)

// What a window says of a limit of 175, 50 in flight until then, nothing late.
func TestLimitDecides(t *testing.T) {
	type says struct {
		limit      float64
		calm, bind bool
		kept       int // of 10 answers that are to tell of the limit
	}
	at := func(level int, took time.Duration) seen { // as many as that makes
		return seen{n: int(100 * ms * time.Duration(level) / took), seconds: .1, level: level, took: took}
	}
	state := func(even float64, windows int) func(*adaptiveLimit, *window) {
		return func(a *adaptiveLimit, _ *window) { a.calm.even, a.windows = even, windows }
	}
	for _, tt := range []struct {
		name string
		set  func(*adaptiveLimit, *window)
		seen seen
		want says
	}{
		{"even for a second: calm", state(.91, 100), at(50, 50*ms), says{175, true, false, 0}},
		{"even for no more than a second: not", state(.9, 100), at(50, 50*ms), says{175, false, false, 0}},
		{"not for a second", state(.89, 100), at(50, 50*ms), says{175, false, false, 0}},
		{"not for a second, but next to nothing is known", state(0, 10), at(50, 50*ms), says{175, true, false, 0}},
		{"not for a second, and more is", state(0, 11), at(50, 50*ms), says{175, false, false, 0}},
		{"not for a second, but few are in flight", state(0, 100), at(15, 50*ms), says{175, true, false, 0}},
		{"not for a second, and not so few", state(0, 100), at(16, 50*ms), says{175, false, false, 0}},
		{"few, but there is known to be a line", func(a *adaptiveLimit, _ *window) { a.calm.even, a.trials.line = 0, true }, at(15, 50*ms), says{175, false, false, 0}},
		{"late, but even for five seconds: calm", state(4.91, 100), at(50, 300*ms), says{175, true, false, 0}},
		{"late, and even for no more than five seconds: not", state(4.9, 100), at(50, 300*ms), says{175, false, false, 0}},
		{"late, and not for five seconds", state(4.89, 100), at(50, 300*ms), says{175, false, false, 0}},
		{"a fifth more, and two: calm", state(2, 100), at(62, 50*ms), says{175, true, false, 0}},
		{"more than that: not", state(2, 10), at(63, 50*ms), says{175, false, false, 0}},
		{"just .85 of the limit are in flight: it binds", func(a *adaptiveLimit, w *window) { a.limit, w.stale = 180, 999 }, at(153, 50*ms), says{180, false, true, 10}},
		{"fewer are: it does not", func(a *adaptiveLimit, w *window) { a.limit, w.stale = 180, 999 }, at(152, 50*ms), says{180, false, false, 0}},
		{"some are refused, and all slots were taken: it binds", func(_ *adaptiveLimit, w *window) { w.most, w.shed, w.stale = 174, 1, 999 }, at(100, 50*ms), says{175, false, true, 10}},
		{"some wait, and all were taken: it binds", func(_ *adaptiveLimit, w *window) { w.most, w.waiting, w.stale = 174, true, 999 }, at(100, 50*ms), says{175, false, true, 10}},
		{"not all were taken: it does not", func(_ *adaptiveLimit, w *window) { w.most, w.shed, w.stale = 173, 1, 999 }, at(100, 50*ms), says{175, false, false, 0}},
		{"nobody was refused: it does not", func(_ *adaptiveLimit, w *window) { w.most, w.stale = 175, 999 }, at(100, 50*ms), says{175, false, false, 0}},

		{"late and steep, more is asked for: little more than are in flight", nil, at(100, 400*ms), says{130, false, false, 0}},
		{"late and steep, in the time for which nothing is late: it stays", func(a *adaptiveLimit, _ *window) { a.trials.free = time.Minute + 1 }, at(100, 400*ms), says{175, false, false, 0}},
		{"late and steep, just after that time: little more than are in flight", func(a *adaptiveLimit, _ *window) { a.trials.free = time.Minute }, at(100, 400*ms), says{130, false, false, 0}},
		{"that, but no more than the limit", nil, at(140, 400*ms), says{175, false, false, 0}},
		{"late and steep, no more is asked for, just after a line: little more than are in flight", func(a *adaptiveLimit, w *window) {
			a.asked, w.asked = 1000, 100
			a.wasLined()
		}, at(100, 400*ms), says{130, false, false, 0}},
		{"late and steep, no more is asked for: twice as many", func(a *adaptiveLimit, w *window) { a.asked, w.asked = 1000, 100 }, at(100, 400*ms), says{200, false, false, 0}},
		{"that, but as clients bear", func(a *adaptiveLimit, w *window) { a.calm.most, a.asked, w.asked = 120, 120, 12; oneByOne(a) }, at(100, 800*ms), says{120 / binding, false, false, 0}},
		{"that, and there is surely no line: half as long again as they have borne", func(a *adaptiveLimit, w *window) { a.calm.most, a.asked, w.asked = 120, 120, 12 }, at(100, 800*ms), says{120 * 1.5 * .771 / binding, false, false, 0}},
		{"that, but 16", func(a *adaptiveLimit, w *window) { a.calm.most, a.asked, w.asked, a.calm.level = 13, 13, 1, 5 }, at(16, 400*ms), says{16, false, false, 0}},
		{"late, not steep, not even: it stays", func(a *adaptiveLimit, _ *window) { a.calm.even = 0 }, at(60, 400*ms), says{175, false, false, 0}},
		{"late and steep, but not because of a line: it stays", func(a *adaptiveLimit, _ *window) { manyAndFew(a) }, at(100, 400*ms), says{175, false, false, 0}},
		{"clients leave, but not because of a line: it stays", func(a *adaptiveLimit, w *window) { a.calm.even = 0; w.gone = 9; manyAndFew(a) }, at(60, 400*ms), says{175, false, false, 0}},
		{"clients leave, though not steep", func(a *adaptiveLimit, w *window) { a.calm.even = 0; w.gone = 9 }, at(60, 400*ms), says{78, false, false, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, w := settledLimit(), tt.seen.window()
			a.windows, a.calm.level, a.calm.trend, a.calm.even = 100, 50, 50, 4
			a.calm.peak, a.limit = 70, 175
			a.trials.arm = *seen{n: 10, seconds: .1, level: 175}.window()
			w.asked = 200
			if tt.set != nil {
				tt.set(&a, w)
			}
			a.usual = w.usual()
			a.decide(time.Minute, w)
			got := says{a.limit, a.calm.now, a.calm.bound, a.trials.arm.n}
			if got.calm { // what it is then is another rule
				got.limit = 175
			}
			if math.Abs(got.limit-tt.want.limit) > .5 {
				t.Errorf("got a limit of %v, want %v", got.limit, tt.want.limit)
			}
			if got.limit = tt.want.limit; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// The latency without a line goes a twentieth of the way to a quicker answer with each
// window, while nothing is late.
func TestLimitSettles(t *testing.T) {
	for _, tt := range []struct {
		name        string
		base, usual float64 // s
		gone        int     // clients, of 100
		want        float64
	}{
		{"they are quicker", .02, .01, 0, .0195},
		{"much quicker", .2, .01, 0, .1905},
		{"as quick", .02, .02, 0, .02},
		{"slower", .02, .03, 0, .02},
		{"quicker, but most clients leave", .02, .01, 60, .02},
		{"late", .02, .3, 0, .02},
	} {
		a := settledLimit()
		a.trials.base, a.usual, a.windows = tt.base, tt.usual, 100
		a.decide(time.Minute, seen{n: 100, seconds: .1, level: 10, took: time.Duration(tt.usual * 1e9), asked: 100, gone: tt.gone}.window())
		if math.Abs(a.trials.base-tt.want) > 1e-9 {
			t.Errorf("%s: got %v s, want %v s", tt.name, a.trials.base, tt.want)
		}
	}
}

// What a limit that does not bind is, while nothing is late, and what is remembered.
func TestLimitRests(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		work, most, peak, limit float64
		inFlight                int
		want, wantMost, wantTop float64
	}{
		{"what is served before an answer is late", 2000, 1000, 10, 100, 20, 350, 2000, 20},
		{"2.5 times the most in flight", 2000, 1000, 10, 100, 200, 500, 2000, 200},
		{"at least 16", 10, 10, 1, 10, 1, 16, 10, 1},
		{"what was served fades in a minute", 10, 1000, 10, 10, 10, 175 * math.Exp(-.1), 1000 * math.Exp(-.1), 10},
		{"what was in flight fades in half a minute", 10, 10, 100, 10, 10, 250 * math.Exp(-.2), 10, 100 * math.Exp(-.2)},
		{"a higher limit sinks", 10, 10, 1, 1000, 1, 1000 * math.Exp(-6/2.5), 10, 1},
	} {
		a := settledLimit()
		a.work, a.calm.most, a.calm.peak, a.limit = tt.work, tt.most, tt.peak, tt.limit
		a.trials = trials{base: .02, free: 5, changed: 6, pause: 9 * sec, on: true, line: true, hold: 7, inTime: 1, unsettled: 2}
		a.rest(seen{n: 100, seconds: 6, level: tt.inFlight, took: ms}.window())
		for what, v := range map[string][2]float64{"limit": {a.limit, tt.want}, "most served": {a.calm.most, tt.wantMost}, "most in flight": {a.calm.peak, tt.wantTop}} {
			if math.Abs(v[0]-v[1]) > 1e-6*v[1] {
				t.Errorf("%s: %s: got %v, want %v", tt.name, what, v[0], v[1])
			}
		}
		if want := (trials{base: .02, free: 5, changed: 6, pause: 3 * sec}); a.trials != want {
			t.Errorf("%s: a trial goes on, or a line is still known", tt.name)
		}
	}
}

// The number in flight is averaged over a second and more, and it is even until it is not.
func TestCalmLooks(t *testing.T) {
	follow := func(to, over float64) float64 { return 100 + (to-100)*(1-math.Exp(-.1/over)) }
	for _, tt := range []struct {
		name         string
		level        int
		latency      float64
		late, binds  bool
		leveled, far float64
		even         bool
	}{
		{"as ever", 100, .1, false, false, 100, 100, true},
		{"they are quick: a second, and five", 110, .1, false, false, follow(110, 1), follow(110, 5), true},
		{"they take long: twice that, and five times", 110, 2, false, false, follow(110, 4), follow(110, 10), true},
		{"it binds: not even", 100, .1, false, true, 100, 100, false},
		{"a fourth more: not even", 126, .1, false, false, follow(126, 1), follow(126, 5), false},
		{"a fifth more than it then is, and two: even", 124, .1, false, false, follow(124, 1), follow(124, 5), true},
		{"more than that: not even", 125, .1, false, false, follow(125, 1), follow(125, 5), false},
		{"a fourth less: not even", 74, .1, false, false, follow(74, 1), follow(74, 5), false},
		{"a fifth more", 120, .1, false, false, follow(120, 1), follow(120, 5), true},
		{"a fifth more, and late: not even", 120, .1, true, false, follow(120, 1), follow(120, 5), false},
		{"a sixth more, and late: even", 117, .1, true, false, follow(117, 1), follow(117, 5), true},
		{"more than that, and late: not even", 118, .1, true, false, follow(118, 1), follow(118, 5), false},
		{"a seventh more, and late", 114, .1, true, false, follow(114, 1), follow(114, 5), true},
	} {
		c := calm{level: 100, trend: 100, even: 3}
		c.look(seen{n: 100, seconds: .1, level: tt.level}.window(), tt.latency, tt.late, tt.binds)
		even := 0.0
		if tt.even {
			even = 3.1
		}
		if math.Abs(c.level-tt.leveled) > 1e-9 || math.Abs(c.trend-tt.far) > 1e-9 || math.Abs(c.even-even) > 1e-9 {
			t.Errorf("%s: got %v and %v, even for %v s, want %v and %v, for %v s", tt.name, c.level, c.trend, c.even, tt.leveled, tt.far, even)
		}
	}
}

// For how long it is known that there was a line.
func TestLimitWasLined(t *testing.T) {
	a := settledLimit()
	if a.lined() {
		t.Error("there was no line, and one is known")
	}
	for i, tt := range []struct {
		line, trial bool // one is known, or a trial is to tell
		at          time.Duration
		want        bool
	}{{true, true, 0, false}, {true, false, 0, true}, {false, false, 10*sec - 1, true}, {false, false, 10 * sec, false}, {true, false, 11 * sec, true}, {false, false, 21 * sec, false}} {
		a.last = time.Minute + tt.at
		a.trials.line, a.trials.on, a.trials.limit = tt.line, tt.trial, 88
		a.trials.before = *seen{n: 500, seconds: 1, level: 88}.window()
		a.decide(a.last, seen{n: 50, seconds: .1, level: 10, asked: 50}.window())
		if got := a.lined(); got != tt.want {
			t.Errorf("window %d: got %v, want %v", i, got, tt.want)
		}
	}
	a.wasLined()
	if a.slow(time.Minute, seen{n: 50, seconds: .1, level: 175, took: 350 * ms}.window()); a.lined() {
		t.Error("there is surely no line, and one is known")
	}
}
