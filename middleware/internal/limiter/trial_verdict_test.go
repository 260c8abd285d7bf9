package limiter

import (
	"math"
	"testing"
	"time"
)

// What a trial is begun for, and what it found out.
func TestTrialBegins(t *testing.T) {
	const less, more, only = "trial of less", "trial of more, as no more is asked for", "trial of more, as there is no less"
	late := seen{n: 250, seconds: .5, level: 175, asked: 1000}
	nearly := func(a *adaptiveLimit) { a.asked = 500; a.calm.most = 550; a.useful = 374 }
	for _, tt := range []struct {
		name  string
		set   func(*adaptiveLimit)
		seen  seen
		limit float64
		why   string // "": no trial
		again bool   // nor is what was seen kept
	}{
		{"late, more is asked for: less", nil, late, 44, less, false},
		{"late, no more is asked for, and clients bear more: more", func(a *adaptiveLimit) { a.asked = 500 }, seen{n: 100, seconds: .2, level: 175, asked: 100}, 350, more, false},
		{"more than clients bear, and most get an answer: none", func(a *adaptiveLimit) { nearly(a); a.calm.most, a.useful = 460, 375; a.limit = 400 },
			seen{n: 100, seconds: .2, level: 400, asked: 120}, 400, "", true},
		{"more than clients bear, and later than that, one after the other: less", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean = 460, 299, 400, 1.1
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, asked: 120}, 200, less, false},
		{"that, but not one after the other: more", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean, a.succession.apart = 460, 299, 400, 1.1, .2
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, gone: 60, asked: 120}, 800, more, false},
		{"that, and three of four clients leave: less", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean, a.succession.apart = 460, 100, 400, 1.1, .2
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, gone: 75, asked: 120}, 96, less, false},
		{"that, and hardly three of four: more", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean, a.succession.apart = 460, 100, 400, 1.1, .2
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, gone: 74, asked: 120}, 800, more, false},
		{"that, but just after a line: less", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean, a.succession.apart = 460, 299, 400, 1.1, .2
			a.wasLined()
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, gone: 60, asked: 120}, 143, less, false},
		{"that, but fewer than 16 come in a second: less", func(a *adaptiveLimit) {
			a.calm.most, a.asked, a.useful, a.limit, a.succession.mean, a.succession.apart = 15, 15.9, 4, 400, 1.1, .2
		}, seen{n: 100, seconds: 6, level: 400, took: 1100 * ms, gone: 60, asked: 95}, 181, less, false},
		{"that, and 16 come: more", func(a *adaptiveLimit) {
			a.calm.most, a.asked, a.useful, a.limit, a.succession.mean, a.succession.apart = 15, 16, 4, 400, 1.1, .2
		}, seen{n: 100, seconds: 6, level: 400, took: 1100 * ms, gone: 60, asked: 95}, 800, more, false},
		{"that, but more is asked for: less", func(a *adaptiveLimit) {
			nearly(a)
			a.calm.most, a.useful, a.limit, a.succession.mean, a.succession.apart = 400, 299, 400, 1.1, .2
		}, seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, gone: 60, asked: 120}, 143, less, false},
		{"half as many again are just what clients bear: none", func(a *adaptiveLimit) { nearly(a); a.calm.most, a.asked, a.useful, a.limit = 433.5, 480, 375, 340 },
			seen{n: 100, seconds: .2, level: 340, asked: 110}, 340, "", true},
		{"that, and most of late get an answer: none", func(a *adaptiveLimit) { nearly(a); a.calm.most, a.useful = 460, 301; a.limit = 400 },
			seen{n: 100, seconds: .2, level: 400, took: 1100 * ms, asked: 120}, 400, "", true},
		{"more than clients bear, but some leave: more", func(a *adaptiveLimit) { nearly(a); a.calm.most = 460; a.limit = 400 },
			seen{n: 75, seconds: .15, level: 400, asked: 100, gone: 1}, 800, more, false},
		{"there is known to be a line: less", func(a *adaptiveLimit) { a.asked = 500; a.trials.line = true }, seen{n: 250, seconds: .5, level: 175, asked: 250}, 88, less, false},
		{"no less is allowed: more", func(a *adaptiveLimit) { a.min = 175 }, late, 350, only, false},
		{"no other limit is allowed: none", func(a *adaptiveLimit) { a.min, a.max = 175, 175 }, late, 175, "", true},
		{"so late that 16 tell", nil, seen{n: 16, seconds: .16, level: 175, asked: 320}, 22, less, false},
		{"15 do not", nil, seen{n: 15, seconds: .15, level: 175, asked: 320}, 175, "", false},
		{"nor do they in two seconds", nil, seen{n: 15, seconds: 2, level: 175, asked: 4000}, 175, "", false},
		{"many leave, and 16 are served", nil, seen{n: 30, seconds: .2, level: 175, asked: 320, gone: 14}, 22, less, false},
		{"many leave, and fewer are served", nil, seen{n: 30, seconds: .2, level: 175, asked: 320, gone: 15}, 175, "", false},
		{"fewer, but there were 32", nil, seen{n: 32, seconds: .2, level: 175, asked: 320, gone: 20}, 22, less, false},
		{"fewer, for a second", nil, seen{n: 30, seconds: 1, level: 175, asked: 320, gone: 20}, 22, less, false},
		{"hardly late: it takes more of them to tell", nil, seen{n: 60, seconds: .4, level: 60, took: 350 * ms, asked: 800}, 175, "", false},
		{"hardly late, but many leave: they tell at once", nil, seen{n: 60, seconds: .4, level: 60, took: 350 * ms, asked: 800, gone: 10}, 22, less, false},
		{"hardly late, and half as many would do: 105 do not tell", nil, seen{n: 105, seconds: .6, level: 60, took: 350 * ms, asked: 200}, 175, "", false},
		{"hardly late, and half as many would do: 106 do", nil, seen{n: 106, seconds: .6, level: 60, took: 350 * ms, asked: 200}, 88, less, false},
		{"and then they tell", nil, seen{n: 76, seconds: .5, level: 60, took: 350 * ms, asked: 1000}, 22, less, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := settledLimit()
			if tt.set != nil {
				tt.set(&a)
			}
			before, now := a.limit, time.Minute
			a.trials.arm = *tt.seen.window()
			a.try(now)
			if a.limit != tt.limit || a.why != tt.why {
				t.Errorf("got limit %v, %q, want %v, %q", a.limit, a.why, tt.limit, tt.why)
			}
			if tr := &a.trials; tr.on != (tt.why != "") || tr.on && (tr.limit != before || tr.before.n != tt.seen.n || tr.changed != now) {
				t.Errorf("got a trial: %v, from %v at %v", tr.on, tr.limit, tr.changed)
			}
			if got, want := a.trials.arm.n == 0, tt.again || tt.why != ""; got != want {
				t.Errorf("begins anew: got %v, want %v", got, want)
			}
		})
	}
}

// When it is proved that there was a line: fewer at a time got sooner answers.
func TestTrialProvesALine(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   float64
		took time.Duration
		want time.Duration
	}{
		{"less, and sooner", 88, 240 * ms, time.Minute},
		{"less, and sooner by a sixth, as a histogram has it", 88, 280 * ms, 0},
		{"more, and sooner", 350, 240 * ms, 0},
	} {
		a := settledLimit()
		a.trials.on, a.trials.limit, a.limit = true, a.limit, tt.to
		a.trials.before = *seen{n: 500, seconds: 1, level: 175, took: 350 * ms}.window()
		a.lines(time.Minute, 500, seen{n: 500, seconds: 1, level: int(tt.to), took: tt.took}.window())
		if got := a.calm.lined; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// When a trial gives fewer at a time no sooner answers, as a line would. Half as many are in
// flight, and 1000 calls come in a second, which is what the handler is known to serve.
func TestTrialNoSooner(t *testing.T) {
	before := seen{n: 500, seconds: 1, level: 175, took: 350 * ms}
	arm := seen{n: 100, seconds: .4, level: 88, took: 350 * ms, asked: 400}
	with := func(s seen, change func(*seen)) seen { change(&s); return s }
	more := func(a *adaptiveLimit) { a.trials.limit, a.limit = 88, 175 }
	for _, tt := range []struct {
		name        string
		set         func(*adaptiveLimit)
		before, arm seen
		want        bool
	}{
		{"as late as before", nil, before, arm, true},
		{"later, as it has become slower", nil, before, with(arm, func(s *seen) { s.took = 700 * ms }), true},
		{"sooner by a sixth, as a histogram has it", nil, before, with(arm, func(s *seen) { s.took = 280 * ms }), true},
		{"sooner by three tenths", nil, before, with(arm, func(s *seen) { s.took = 240 * ms }), false},
		{"there was a line just now", (*adaptiveLimit).wasLined, before, arm, false},
		{"there was one when the trial began, long ago", func(a *adaptiveLimit) { a.wasLined(); a.trials.changed, a.last = a.last, time.Hour }, before, arm, false},
		{"there was one long before it", func(a *adaptiveLimit) { a.wasLined(); a.last, a.trials.changed = time.Hour, time.Hour }, before, arm, true},
		{"there is, but only since the trial before", func(a *adaptiveLimit) { a.trials.line = true }, before, arm, true},
		{"more calls come than it is known to serve", func(a *adaptiveLimit) { a.asked = 1200 }, before, arm, false},
		{"16 calls come in a second", func(a *adaptiveLimit) { a.asked = 16 }, before, arm, true},
		{"fewer: chance makes a line", func(a *adaptiveLimit) { a.asked = 15.9 }, before, arm, false},
		{"more requests come, but they are retries", func(a *adaptiveLimit) { a.asked = 1500 }, before, with(arm, func(s *seen) { s.joined, s.again = 60, 20 }), true},
		{"8 are served", nil, before, with(arm, func(s *seen) { s.n = 8 }), true},
		{"7 are not enough", nil, before, with(arm, func(s *seen) { s.n = 7 }), false},
		{"nor are 7 before", nil, with(before, func(s *seen) { s.n = 7 }), arm, false},
		{"six of ten are in flight", nil, before, with(arm, func(s *seen) { s.level = 105 }), true},
		{"more are: chance may make them as late", nil, before, with(arm, func(s *seen) { s.level = 106 }), false},
		{"more at a time, and as late", more, arm, with(before, func(s *seen) { s.asked = 400 }), true},
		{"more at a time, and later", more, arm, with(before, func(s *seen) { s.took *= 2 }), false},
		{"hardly more at a time, and as late", more, with(arm, func(s *seen) { s.level = 106 }), before, false},
	} {
		a := settledLimit()
		a.asked = 1000
		a.trials.on, a.trials.limit, a.limit = true, a.limit, 88
		a.trials.before, a.trials.arm = *tt.before.window(), *tt.arm.window()
		if tt.set != nil {
			tt.set(&a)
		}
		if got := a.noSooner(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}

	// Half of the clients leave before the answer in the one or in the other, so only the
	// latencies are compared that three of four of those served are below.
	half := func(quick time.Duration) *window { // half take that long, and the others hang
		w := seen{n: 50, seconds: 1, level: 175, took: quick}.window()
		w.merge(seen{n: 50, level: 175, took: sec, gone: 50}.window())
		return w
	}
	for _, tt := range []struct {
		name        string
		before, arm *window
		want        bool
	}{
		{"half hang, the others take as long", half(100 * ms), seen{n: 100, level: 88, took: 100 * ms}.window(), true},
		{"none hung, now half do", seen{n: 100, level: 175, took: 100 * ms}.window(), half(100 * ms), true},
		{"none hung, now half do, and the others come sooner", seen{n: 100, level: 175, took: 200 * ms}.window(), half(100 * ms), false},
		{"half hang, the others come sooner", half(100 * ms), seen{n: 100, level: 88, took: 50 * ms}.window(), false},
	} {
		a := settledLimit()
		a.asked = 1000
		tt.before.inFlight, tt.arm.inFlight = 175*float64(tt.before.n), 88*float64(tt.arm.n)
		a.trials.limit, a.limit = 175, 88
		a.trials.before, a.trials.arm = *tt.before, *tt.arm
		if got := a.noSooner(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTrialVerdict(t *testing.T) {
	const (
		less   = "trial of less"
		gains  = "more at a time give more answers"
		vain   = "more at a time give no more answers"
		line   = "the answers do not follow the number: a line"
		none   = "the answers follow the number: no line"
		room   = "nobody needs more"
		some   = "some more at a time give some more answers"
		follow = "trial of more, as answers follow the number"
		late   = "fewer at a time get no sooner answers: no line"
	)
	before := seen{n: 500, seconds: 1, level: 175}
	hang := func(n, level int) seen { return seen{n: n, seconds: 1, level: level, took: 60 * ms} } // beside them
	useless := seen{n: 500, seconds: 1, level: 175, gone: 400}
	for _, tt := range []struct {
		name   string
		line   bool // there is known to be one
		least  float64
		asked  float64
		before seen
		to     float64
		arm    seen
		limit  float64
		why    string
		on     bool    // another trial
		holds  bool    // none for 2 s
		free   bool    // nothing is late for 2 s
		lined  bool    // there is a line
		costly bool    // less is to be tried
		base   float64 // of latency, s
		inTime float64 // 0: any
	}{
		{name: "more do not come", before: before, to: 350, arm: seen{n: 500, seconds: 1, level: 297}, limit: 350, why: room, holds: true, base: .01},
		{name: "less do not come", before: before, to: 88, arm: seen{n: 500, seconds: 1, level: 74}, limit: 175, why: room, holds: true, base: .01},
		{name: "more do, as some are refused", before: before, to: 350, arm: seen{n: 800, seconds: 1, level: 297, shed: 1}, limit: 519, why: none, free: true, base: .324},
		{name: "more do, as they bind", before: before, to: 350, arm: seen{n: 800, seconds: 1, level: 298}, limit: 519, why: none, free: true, base: .324},

		{name: "more do, as they just bind", before: before, to: 340, arm: seen{n: 800, seconds: 1, level: 289}, limit: 519, why: none, free: true, base: .324},
		{name: "four times as many in flight give just twice as many: a line, and less", before: seen{n: 250, seconds: 1, level: 75}, to: 350, arm: seen{n: 500, seconds: 1, level: 300}, limit: 22, why: less, on: true, lined: true, base: .01},

		{name: "twice as many give half of that more: no line", before: before, to: 350, arm: seen{n: 710, seconds: 1, level: 350}, limit: 460, why: none, free: true, base: .324},
		{name: "they give less than that: a line, and less", before: before, to: 350, arm: seen{n: 704, seconds: 1, level: 350}, limit: 44, why: less, on: true, lined: true, base: .01},
		{name: "half as many give less than half of it less: a line", before: before, to: 88, arm: seen{n: 358, seconds: 1, level: 88}, limit: 123, why: line, lined: true, base: .01, inTime: .246},
		{name: "they give more than half of it less: no line", before: before, to: 88, arm: seen{n: 350, seconds: 1, level: 88}, limit: 273, why: none, free: true, base: .2726},
		{name: "no line: what is served before an answer is late", before: seen{n: 500, seconds: 1, level: 350}, to: 88, arm: seen{n: 125, seconds: 1, level: 88}, limit: 648, why: none, free: true, base: .648},

		{name: "no line, and some hang: as many as give more", before: hang(500, 175), to: 350, arm: hang(1000, 350), limit: 350, why: none, free: true, base: .0573},
		{name: "no line, and some hang: as many as gave more", before: hang(500, 175), to: 88, arm: hang(250, 88), limit: 175, why: none, free: true, base: .0573},

		{name: "hardly another limit tells nothing: a line", before: before, to: 192, arm: seen{n: 549, seconds: 1, level: 192}, limit: 44, why: less, on: true, lined: true, base: .01},
		{name: "a tenth tells", before: before, to: 195, arm: seen{n: 555, seconds: 1, level: 195}, limit: 360, why: none, free: true, base: .324},

		{name: "less give fewer answers, but more in time: a line", before: useless, to: 88, arm: seen{n: 200, seconds: 1, level: 88}, limit: 18, why: less, on: true, lined: true, base: .01},
		{name: "less give as many, to clients that have gone: a line", before: before, to: 88, arm: seen{n: 500, seconds: 1, level: 88, gone: 300}, limit: 88, why: line, lined: true, base: .01, inTime: .176},
		{name: "more give as many, to clients that have gone: no more", before: before, to: 350, arm: seen{n: 800, seconds: 1, level: 350, gone: 300}, limit: 44, why: less, on: true, lined: true, base: .01},

		{name: "less give less, but not sooner, and no more is asked for: no line, whatever was thought before", line: true, asked: 1000, before: before, to: 88, arm: seen{n: 358, seconds: 1, level: 88, took: 350 * ms},
			limit: 324, why: late, free: true, base: .324},

		{name: "in a line, more give more: they stay", line: true, asked: 1000, before: before, to: 350, arm: seen{n: 710, seconds: 1, level: 350}, limit: 350, why: gains, lined: true, base: .01, inTime: .493},
		{name: "in a line, four times as many in flight give just twice as many: back, and less", line: true, before: seen{n: 250, seconds: 1, level: 75}, to: 350, arm: seen{n: 500, seconds: 1, level: 300}, limit: 22, why: less, on: true, lined: true, base: .01},
		{name: "in a line, and most are still refused: more still", line: true, asked: 1430, before: before, to: 350, arm: seen{n: 710, seconds: 1, level: 350}, limit: 700, why: crowded, on: true, lined: true, base: .01, inTime: .493},
		{name: "in a line, more give some more: as many more", line: true, asked: 1000, before: seen{n: 1000, seconds: 1, level: 175}, to: 350, arm: seen{n: 1410, seconds: 1, level: 350}, limit: 247, why: some, holds: true, lined: true, base: .01, inTime: .175},
		{name: "in a line, more give hardly more: back", line: true, asked: 1000, before: seen{n: 1000, seconds: 1, level: 175}, to: 350, arm: seen{n: 1100, seconds: 1, level: 350}, limit: 175, why: vain, holds: true, lined: true, base: .01},
		{name: "in a line, more give fewer: back, and less is to be tried", line: true, asked: 1000, before: seen{n: 1000, seconds: 1, level: 175}, to: 350, arm: seen{n: 800, seconds: 1, level: 350}, limit: 175, why: vain, holds: true, lined: true, costly: true, base: .01},
		{name: "in a line, less give less, but sooner: they were too few", line: true, before: before, to: 88, arm: seen{n: 250, seconds: 1, level: 88, took: 200 * ms}, limit: 175, why: line, holds: true, lined: true, base: .1928, inTime: .35},
		{name: "in a line, less give less, as late: more", line: true, before: before, to: 88, arm: seen{n: 250, seconds: 1, level: 88}, limit: 263, why: follow, on: true, lined: true, base: .324, inTime: .35},

		{name: "less give fewer, but as many in time: they are enough", line: true, before: seen{n: 900, seconds: 1, level: 175, gone: 600}, to: 88, arm: seen{n: 340, seconds: 1, level: 88}, limit: 88, why: line, lined: true, base: .01, inTime: .2588},
		{name: "less give fewer, but just as many in time: they are enough", line: true, before: seen{n: 900, seconds: 1, level: 175, gone: 600}, to: 88, arm: seen{n: 330, seconds: 1, level: 88}, limit: 88, why: line, lined: true, base: .01, inTime: .2667},
		{name: "less give fewer, and fewer in time: they were too few", line: true, before: seen{n: 900, seconds: 1, level: 175, gone: 580, took: 500 * ms}, to: 88, arm: seen{n: 330, seconds: 1, level: 88}, limit: 175, why: line, holds: true, lined: true, base: .2726, inTime: .194},
		{name: "half as many give twice as many each: a line, and less", before: before, to: 88, arm: seen{n: 1000, seconds: 1, level: 88}, limit: 44, why: less, on: true, lined: true, base: .01},
		{name: "a sixteenth in flight gives just a fourth of that more: they stay", before: seen{n: 250, seconds: 1, level: 176}, to: 11, arm: seen{n: 500, seconds: 1, level: 11}, limit: 11, why: line, lined: true, base: .01, inTime: .022},
		{name: "half as many give a fourth of it more: a line, and less", before: before, to: 88, arm: seen{n: 600, seconds: 1, level: 88}, limit: 44, why: less, on: true, lined: true, base: .01},
		{name: "that, but no less is allowed: they stay", least: 88, before: before, to: 88, arm: seen{n: 600, seconds: 1, level: 88}, limit: 88, why: line, lined: true, base: .01, inTime: .147},
		{name: "they give hardly more: they stay", before: before, to: 88, arm: seen{n: 590, seconds: 1, level: 88}, limit: 88, why: line, lined: true, base: .01, inTime: .149},
		{name: "an eighth gives more than .62 of it: a line", before: before, to: 22, arm: seen{n: 311, seconds: 1, level: 22}, limit: 35, why: line, lined: true, base: .01, inTime: .0708},
		{name: "an eighth gives just .62 of it: a line", before: before, to: 22, arm: seen{n: 310, seconds: 1, level: 22}, limit: 35, why: line, lined: true, base: .01, inTime: .071},
		{name: "an eighth gives less: they were too few", before: before, to: 22, arm: seen{n: 309, seconds: 1, level: 22}, limit: 44, why: line, holds: true, lined: true, base: .0682, inTime: .089},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, now := settledLimit(), time.Minute
			if tt.asked > 0 {
				a.asked = tt.asked
			}
			a.min = max(a.min, tt.least)
			tr := &a.trials
			tt.before.asked, tt.arm.asked = 2000*tt.before.seconds, 2000*tt.arm.seconds
			if tt.asked > 0 {
				tt.arm.asked = tt.asked * tt.arm.seconds
			}
			tr.on, tr.line, tr.limit, a.limit = true, tt.line, a.limit, tt.to
			tr.before, tr.arm = *tt.before.window(), *tt.arm.window()
			a.calm.lined, a.last = sec, now
			tr.changed = now - sec
			a.verdict(now)
			if got := a.calm.lined == 0; got != tt.free {
				t.Errorf("that there was a line is forgotten: got %v, want %v", got, tt.free)
			}
			if a.limit != tt.limit || a.why != tt.why {
				t.Errorf("got limit %v, %q, want %v, %q", a.limit, a.why, tt.limit, tt.why)
			}
			until := func(yes bool) time.Duration {
				if yes {
					return now + 2*sec
				}
				return 0
			}
			if tr.costly != tt.costly {
				t.Errorf("less is to be tried: got %v, want %v", tr.costly, tt.costly)
			}
			if tr.on != tt.on || tr.line != tt.lined || tr.hold != until(tt.holds) || tr.free != until(tt.free) {
				t.Errorf("got a trial %v, a line %v, none before %v, none late before %v", tr.on, tr.line, tr.hold, tr.free)
			}
			if want := 2 * sec; tt.holds || tt.free {
				if want = 4 * sec; tr.pause != want {
					t.Errorf("got a pause of %v, want %v", tr.pause, want)
				}
			} else if tr.pause != want {
				t.Errorf("got a pause of %v, want %v", tr.pause, want)
			}
			if math.Abs(tr.base-tt.base) > .01*tt.base {
				t.Errorf("got a base of %.4f s, want %.4f s", tr.base, tt.base)
			}
			if tt.inTime > 0 && math.Abs(tr.inTime-tt.inTime) > .01*tt.inTime {
				t.Errorf("got %.4f s in time, want %.4f s", tr.inTime, tt.inTime)
			}
			if got := a.calm.peak == 0; got != (tt.lined && tt.why != gains && tt.why != crowded) {
				t.Errorf("the peak is forgotten: got %v", got)
			}
		})
	}
}

// Whether more at a time surely give fewer answers, where 400 came in a second before.
func TestTrialCosts(t *testing.T) {
	few := seen{n: 400, seconds: 1, level: 100}
	for _, tt := range []struct {
		name string
		many seen
		want bool
	}{
		{"twice as many give a fifth less", seen{n: 320, seconds: 1, level: 200}, true},
		{"a fourth of the step less", seen{n: 336, seconds: 1, level: 200}, true},
		{"hardly a fourth of it", seen{n: 337, seconds: 1, level: 200}, false},
		{"as many", seen{n: 400, seconds: 1, level: 200}, false},
		{"more", seen{n: 500, seconds: 1, level: 200}, false},
		{"a fifth less for a tenth of a second: chance", seen{n: 32, seconds: .1, level: 200}, false},
		{"two fifths less in that time", seen{n: 24, seconds: .1, level: 200}, true},
	} {
		if got := costs(tt.many.window(), few.window()); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
