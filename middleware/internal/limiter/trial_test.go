package limiter

import (
	"math"
	"testing"
	"time"
)

// seen is what a window has seen: so many answers, as evenly as the number in flight
// and the time make them.
type seen struct {
	n       int
	seconds float64
	level   int
	gone    int // of the answers: their clients had left
	failed  int // of the answers
	tooLate int // of the answers
	asked   float64
	shed    int
	took    time.Duration // 0: what Little's law makes of the others
	stale   int           // of the answers: to requests from before a step
	joined  int           // that found no room
	again   int           // of them
	retries int           // of the answers
	owed    float64
}

func (s seen) window() *window {
	w := window{seconds: s.seconds, asked: s.asked, shed: s.shed}
	if s.took == 0 {
		s.took = time.Duration(s.seconds * 1e9 * float64(s.level) / float64(s.n))
	}
	for i := range s.n {
		c := Completion{At: time.Hour, Took: s.took, InFlight: s.level, Slot: Slot{Weight: 1}, Retry: i < s.retries}
		switch {
		case i < s.gone:
			c.Outcome = Gone
		case i < s.gone+s.failed:
			c.Outcome = Failed
		}
		w.add(c, 0, 0)
	}
	w.tooLate, w.stale, w.joined, w.again = s.tooLate, s.stale, s.joined, s.again
	return &w
}

// settledLimit is a limit of 175, of a handler that served 1000 a second while nothing was
// late, 10 ms each, and of which 2000 a second are asked: it serves 500 of them.
func settledLimit() adaptiveLimit {
	a := newAdaptiveLimit(2, 10_000)
	a.limit, a.why = 175, ""
	a.calm.most, a.calm.peak = 1000, 10
	a.trials.base = .01
	a.asked, a.useful, a.work = 2000, 500, 500
	a.usual, a.latency = .35, .35
	return a
}

// wasLined is for a limit of a handler in which there was a line just now.
func (a *adaptiveLimit) wasLined() { a.last, a.calm.lined = time.Minute, time.Minute-sec }

// What a limit is known to serve, and when no more than that is asked for.
func TestWhatFits(t *testing.T) {
	late := seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 200}
	veryLate := seen{n: 100, seconds: .2, level: 500, took: 1100 * ms, asked: 200}
	leave := func(s seen, n int) seen { s.gone = n; return s }
	again := func(s seen, joined, again int) seen { s.joined, s.again = joined, again; return s }
	owe := func(s seen, owed float64) seen { s.owed = owed; return s }
	for _, tt := range []struct {
		name                string
		most, asked, useful float64
		lined               bool // just now
		seen                seen
		known, fits         bool
	}{
		{"late, no more is asked for", 1000, 1000, 500, false, late, true, true},
		{"a tenth and a deviation of chance more is no more", 400, 459, 400, false, seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 92}, true, true},
		{"that is more", 400, 461, 400, false, late, false, false},
		{"half as many calls, each asked for twice", 400, 800, 400, false, again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 160}, 16, 8), true, true},
		{"that, and those that were told to come back do so for a second", 400, 800, 400, false, owe(again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 160}, 16, 8), 1), true, true},
		{"that, for longer: they are calls that were not served yet", 400, 800, 400, false, owe(again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 160}, 16, 8), 1.001), false, false},
		{"too few to know how many are retries", 400, 800, 400, false, again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 160}, 15, 8), false, false},
		{"half of those that leave are retries", 400, 800, 400, false, seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 160, retries: 50}, true, true},
		{"that, though none of those that found no room is", 400, 800, 400, false, seen{n: 16, seconds: .2, level: 200, took: 400 * ms, asked: 160, retries: 8, joined: 30}, true, true},
		{"too few have left to know how many are retries", 400, 800, 400, false, seen{n: 15, seconds: .2, level: 200, took: 400 * ms, asked: 160, retries: 8}, false, false},
		{"16 calls a second, each asked for twice", 15, 32, 15, false, seen{n: 16, seconds: 1, level: 200, took: 400 * ms, asked: 32, retries: 8}, true, true},
		{"fewer, of which it is not known how many are retries", 15, 31, 15, false, seen{n: 16, seconds: 1, level: 200, took: 400 * ms, asked: 31, retries: 8}, false, false},
		{"more calls, a third of the requests are retries", 400, 700, 400, false, again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 92}, 30, 10), false, false},
		{"more calls in a window", 400, 600, 400, false, again(seen{n: 100, seconds: .2, level: 200, took: 400 * ms, asked: 240}, 30, 10), false, false},
		{"nothing is known, and nothing is asked for", 0, 0, 0, false, seen{n: 100, seconds: .2, level: 200, took: 400 * ms}, true, true},
		{"in a window, a fourth and two deviations", 400, 400, 400, false, seen{n: 50, seconds: .25, level: 80, asked: 144}, true, true},
		{"in a window, more", 400, 400, 400, false, seen{n: 50, seconds: .25, level: 80, asked: 146}, false, false},
		{"so late that nobody waits for it", 1000, 1000, 599, false, veryLate, true, false},
		{"that late, but most of those that came in a second got one in time", 1000, 1000, 600, false, veryLate, true, true},
		{"that late, but next to nobody leaves", 1000, 1000, 500, false, leave(veryLate, 1), true, true},
		{"that late, but fewer than half leave", 1000, 1000, 500, false, leave(veryLate, 49), true, true},
		{"that late, and half leave", 1000, 1000, 500, false, leave(veryLate, 50), true, false},
		{"late, and most leave", 1000, 1000, 900, false, leave(late, 51), true, false},
		{"late, and half leave", 1000, 1000, 900, false, leave(late, 50), true, true},
		{"late, no more is asked for, but there was a line just now", 1000, 1000, 500, true, late, true, false},
	} {
		a, w := settledLimit(), tt.seen.window()
		a.calm.most, a.asked, a.useful = tt.most, tt.asked, tt.useful
		a.owed = tt.seen.owed
		if tt.lined {
			a.wasLined()
		}
		if got := a.known(w); got != tt.known {
			t.Errorf("%s: known: got %v, want %v", tt.name, got, tt.known)
		}
		if got := a.fits(w); got != tt.fits {
			t.Errorf("%s: fits: got %v, want %v", tt.name, got, tt.fits)
		}
	}
}

// As many leave as come, or have done for as long as most take.
func TestTrialSettles(t *testing.T) {
	for _, tt := range []struct {
		name      string
		seen      seen
		unsettled float64
		want      bool
		then      float64
	}{
		{"as many leave as .6 of those in flight make", seen{n: 60, seconds: 1, level: 100, took: sec}, .05, true, 0},
		{"fewer", seen{n: 60, seconds: .1, level: 112, took: 110 * ms}, 0, false, .1},
		{"fewer, for as long as most take", seen{n: 60, seconds: .1, level: 160, took: 150 * ms}, .17, true, .27},
		{"not for as long", seen{n: 60, seconds: .1, level: 160, took: 150 * ms}, .13, false, .23},
		{"most take long: not for a second", seen{n: 12, seconds: .1, level: 1010, took: 5 * sec}, .95, false, 1.05},
		{"most take long: for a second", seen{n: 12, seconds: .1, level: 1010, took: 5 * sec}, 1, true, 1.1},
	} {
		tr := trials{unsettled: tt.unsettled}
		if got := tr.settles(tt.seen.window()); got != tt.want || math.Abs(tr.unsettled-tt.then) > 1e-9 {
			t.Errorf("%s: got %v after %v s, want %v after %v s", tt.name, got, tr.unsettled, tt.want, tt.then)
		}
	}
}

// How many less a trial of less tries, and how many times more one of more.
func TestTrialSteps(t *testing.T) {
	for _, tt := range []struct {
		name string
		seen seen
		want float64
	}{
		{"a short line", seen{n: 500, seconds: 1, level: 175, asked: 2000}, 44},
		{"not lower than what is asked for over what is of use", seen{n: 100, seconds: 1, level: 175, asked: 500}, 35},
		{"what is of use, not what is answered", seen{n: 100, seconds: 1, level: 175, asked: 300, gone: 50}, 31},
		{"not lower than an eighth", seen{n: 100, seconds: 1, level: 175, asked: 5000}, 22},
		{"at least half", seen{n: 100, seconds: 1, level: 175, asked: 100}, 88},
		{"not more than half", seen{n: 3000, seconds: 1, level: 175, asked: 4000}, 88},
	} {
		a := settledLimit()
		if got := a.less(tt.seen.window()); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name       string
		base, said float64
		want       float64
	}{
		{"a third of the target", .01, 0, .0875},
		{"half as much again as the work takes", .4, 4, .6},
		{"that, but half of what clients bear", .3, 1, .4},
		{"that, but what the work takes", .7, 0, .7},
	} {
		a := settledLimit()
		a.trials.base = tt.base
		if tt.said > 0 {
			a.patience.say(tt.said)
		}
		if got := a.inTime(); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: got %v s, want %v s", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name          string
		asked, useful float64
		pause         time.Duration
		want          float64
	}{
		{"hardly more is asked for: half as much again", 600, 500, 2 * sec, 1.5},
		{"more is: as many as are asked for", 900, 500, 2 * sec, 1.8},
		{"much more is: twice as many", 5000, 500, 2 * sec, 2},
		{"one was in vain: half as much again", 5000, 500, 2*sec + 1, 1.5},
	} {
		a := settledLimit()
		a.asked, a.useful, a.trials.pause = tt.asked, tt.useful, tt.pause
		if got := a.more(); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		useful float64
		want   bool
	}{{499, true}, {500, false}} {
		a := settledLimit()
		a.asked = 1000
		if got := a.mostRefused(tt.useful); got != tt.want {
			t.Errorf("%v of 1000 are served: most are refused: got %v, want %v", tt.useful, got, tt.want)
		}
	}
}

// When a trial has told what it can.
func TestTrialTells(t *testing.T) {
	before := seen{n: 250, seconds: .5, level: 175}
	for _, tt := range []struct {
		name string
		to   float64
		arm  seen
		want bool
	}{
		{"less, and enough answers for chance: 105", 88, seen{n: 106, seconds: .6, level: 88}, true},
		{"less, and fewer", 88, seen{n: 105, seconds: .6, level: 88}, false},
		{"less, too soon", 88, seen{n: 190, seconds: .4, level: 88}, false},
		{"much less give hardly any: a fourth of them", 88, seen{n: 124, seconds: 1, level: 88, took: 2 * sec}, true},
		{"much less give few, but a fourth", 88, seen{n: 126, seconds: 1, level: 88, took: 2 * sec}, false},
		{"hardly any, not for a second", 88, seen{n: 50, seconds: .98, level: 88, took: 2 * sec}, false},
		{"twice as many give most of twice as many", 350, seen{n: 64, seconds: .07, level: 350, took: 60 * ms}, true},
		{"twice as many give just three quarters of that step", 350, seen{n: 64, seconds: .074, level: 350, took: 60 * ms}, true},
		{"twice as many give fewer than that", 350, seen{n: 64, seconds: .08, level: 350, took: 60 * ms}, false},
		{"twice as many give that: 32 tell", 350, seen{n: 32, seconds: .03, level: 350, took: 20 * ms}, true},
		{"twice as many give that, but too few tell", 350, seen{n: 31, seconds: .03, level: 350, took: 20 * ms}, false},
		{"twice as many give that, but it was before they came out", 350, seen{n: 64, seconds: .07, level: 350, took: 80 * ms}, false},
		{"twice as many give that, just as they come out", 350, seen{n: 64, seconds: .0625, level: 350, took: 62500 * time.Microsecond}, true},
		{"the limit is what it was before, as processors are short: as many do not tell", 175, seen{n: 64, seconds: .064, level: 175, took: 20 * ms}, false},
		{"after two seconds 16 tell", 350, seen{n: 16, seconds: 2, level: 350}, true},
		{"before that they do not", 350, seen{n: 16, seconds: 1.99, level: 350}, false},
		{"nor do 15", 350, seen{n: 15, seconds: 2, level: 350}, false},
	} {
		a := settledLimit()
		a.trials.on, a.trials.limit, a.limit = true, a.limit, tt.to
		a.trials.before, a.trials.arm = *before.window(), *tt.arm.window()
		if got := a.tried(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name     string
		before   seen
		from, to float64
		arm      seen
		want     bool
	}{
		{"slow work: not after two seconds", seen{n: 58, seconds: 1, level: 175}, 175, 350, seen{n: 20, seconds: 5.5, level: 350, took: 8 * sec}, false},
		{"slow work: after twice as long as it takes", seen{n: 58, seconds: 1, level: 175}, 175, 350, seen{n: 20, seconds: 7, level: 350, took: 8 * sec}, true},
		{"slow work, and less give hardly any: not after a second", seen{n: 100, seconds: 1, level: 175}, 175, 88, seen{n: 15, seconds: 1.8, level: 88, took: 3 * sec}, false},
		{"slow work, and less give hardly any: after as long as it takes", seen{n: 100, seconds: 1, level: 175}, 175, 88, seen{n: 15, seconds: 1.85, level: 88, took: 3 * sec}, true},
		{"few are asked for: 31 of which less give hardly any do not tell", seen{n: 20, seconds: 1, level: 8}, 8, 4, seen{n: 2, seconds: 1.55, level: 4}, false},
		{"few are asked for: just 32 do", seen{n: 20, seconds: 1, level: 8}, 8, 4, seen{n: 2, seconds: 1.6, level: 4}, true},
		{"few are asked for: a fourth of 32 is not hardly any", seen{n: 20, seconds: 1, level: 8}, 8, 4, seen{n: 8, seconds: 1.6, level: 4}, false},
		{"few are asked for: more than 32 do", seen{n: 20, seconds: 1, level: 8}, 8, 4, seen{n: 2, seconds: 1.61, level: 4}, true},
		{"more give hardly any: 16 are waited for", seen{n: 500, seconds: 1, level: 175}, 175, 350, seen{n: 15, seconds: 1.9, level: 350}, false},
	} {
		a := settledLimit()
		a.trials.on, a.trials.limit, a.limit = true, tt.from, tt.to
		a.trials.before, a.trials.arm = *tt.before.window(), *tt.arm.window()
		if got := a.tried(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for n, want := range map[int]bool{31: false, 32: true} {
		a := settledLimit()
		a.asked = 1000
		a.trials.on, a.trials.limit, a.limit = true, a.limit, 88
		a.trials.before, a.trials.arm = *before.window(), *seen{n: n, seconds: .2, level: 88, took: 350 * ms}.window()
		if got := a.tried(); got != want {
			t.Errorf("no more is asked for, and less give %d no sooner: got %v, want %v", n, got, want)
		}
	}
}

// How many answers tell of a step of the limit: so many that chance is half of it.
func TestTrialTellsOfAStep(t *testing.T) {
	const half = -.6931
	varied := func(times int, seconds float64) *window { // six of 106 take a second
		w := seen{n: 100 * times, seconds: seconds, level: 100, took: 10 * ms}.window()
		w.merge(seen{n: 6 * times, level: 100, took: sec}.window())
		return w
	}
	for _, tt := range []struct {
		name string
		w    *window
		step float64
		want bool
	}{
		{"half as many: 105", seen{n: 105, seconds: .5, level: 50}.window(), half, true},
		{"half as many: 104", seen{n: 104, seconds: .5, level: 50}.window(), half, false},
		{"half as many: 104, however long", seen{n: 104, seconds: 6, level: 50}.window(), half, false},
		{"not within half a second", seen{n: 105, seconds: .49, level: 50}.window(), half, false},
		{"an eighth: 16", seen{n: 16, seconds: .5, level: 5}.window(), 3 * half, true},
		{"an eighth: 15", seen{n: 15, seconds: .5, level: 5}.window(), 3 * half, false},
		{"they take 2 s: not before", seen{n: 200, seconds: 1.9, level: 200, took: 2 * sec}.window(), half, false},
		{"they take 2 s: then", seen{n: 200, seconds: 2.1, level: 200, took: 2 * sec}.window(), half, true},
		{"they take 20 s: not for 10 s", seen{n: 200, seconds: 9.9, level: 200, took: 20 * sec}.window(), half, false},
		{"they take 20 s: for 10 s", seen{n: 200, seconds: 10, level: 200, took: 20 * sec}.window(), half, true},
		{"the work varies: twelve times as many", varied(12, 2), half, true},
		{"the work varies: eleven times as many", varied(11, 2), half, false},
		{"the work varies: not for 5 s", varied(2, 4.9), half, false},
		{"the work varies: for 5 s", varied(2, 5), half, true},
	} {
		if got := tt.w.tells(tt.step); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// After a trial that found nothing better, the next one waits, and for longer each time.
func TestTrialLater(t *testing.T) {
	a := newAdaptiveLimit(2, 1000)
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 64, 80, 80} {
		if got := a.later(time.Hour) - time.Hour; got != want*sec {
			t.Errorf("trial %d: got %v, want %v", i+1, got, want*sec)
		}
	}
}

// When nothing more is to be waited for in a trial of more.
func TestTrialRefuted(t *testing.T) {
	before := seen{n: 500, seconds: 1, level: 175} // 350 ms each, of which a histogram makes .324
	for _, tt := range []struct {
		name string
		from float64
		to   float64       // 0: 350
		took time.Duration // since the limit was moved
		seen seen
		want bool
		then seen // after the step, before that
	}{
		{"twice as many give no more, and clients leave", 175, 0, 2 * sec, seen{n: 600, seconds: 1, level: 298, gone: 100}, true, seen{}},
		{"they give more", 175, 0, 2 * sec, seen{n: 810, seconds: 1, level: 298, gone: 100}, false, seen{}},
		{"they give half of a step more", 175, 0, 2 * sec, seen{n: 800, seconds: 1, level: 298, gone: 100}, true, seen{}},
		{"four times as many give just twice as many", 87.5, 0, 2 * sec, seen{n: 1190, seconds: 1, level: 298, gone: 200}, true, seen{}},
		{"clients do not leave", 175, 0, 2 * sec, seen{n: 600, seconds: 1, level: 298}, false, seen{}},
		{"the limit just binds", 170, 340, 2 * sec, seen{n: 600, seconds: 1, level: 289, gone: 100}, true, seen{}},
		{"the limit does not bind", 175, 0, 2 * sec, seen{n: 600, seconds: 1, level: 297, gone: 100}, false, seen{}},
		{"of requests from before", 175, 0, sec + 310*ms, seen{n: 600, seconds: 1, level: 298, gone: 100}, false, seen{}},
		{"of requests since", 175, 0, sec + 330*ms, seen{n: 600, seconds: 1, level: 298, gone: 100}, true, seen{}},
		{"not yet for half as long as most take", 175, 0, 2 * sec, seen{n: 96, seconds: .16, level: 298, gone: 16}, false, seen{}},
		{"for half as long as most take", 175, 0, 2 * sec, seen{n: 100, seconds: .166, level: 298, gone: 17}, true, seen{}},
		{"the limit is what it was before, as processors are short: it is no trial of more", 350, 0, 2 * sec, seen{n: 400, seconds: 1, level: 298, gone: 100}, false, seen{}},
		{"it is a trial of less", 700, 0, 2 * sec, seen{n: 200, seconds: 1, level: 298, gone: 100}, false, seen{}},
		{"they give no more now, but did before", 175, 0, 2 * sec, seen{n: 400, seconds: 1, level: 298, gone: 100}, false, seen{n: 1200, seconds: 1, level: 298}},
		{"the limit did not bind just before", 175, 0, 2 * sec, seen{n: 600, seconds: 1, level: 298, gone: 100}, false, seen{n: 10, seconds: .1, level: 297}},
		{"they give more now, but not in all", 175, 0, 2 * sec, seen{n: 500, seconds: .5, level: 298, gone: 100}, true, seen{n: 500, seconds: 1, level: 298}},
	} {
		a := settledLimit()
		if tt.to == 0 {
			tt.to = 350
		}
		a.trials.on, a.trials.limit, a.limit = true, tt.from, tt.to
		a.trials.changed, a.trials.before = time.Minute, *before.window()
		w := tt.seen.window()
		if tt.then.n > 0 {
			a.saw(time.Minute+tt.took, tt.then.window())
		}
		a.saw(time.Minute+tt.took, w)
		if got := a.refuted(time.Minute+tt.took, w); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
