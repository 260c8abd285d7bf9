package limiter

import (
	"testing"
	"time"
)

// oneByOne is for a limit where each request takes as long as the one before, and longer
// than the work.
func oneByOne(a *adaptiveLimit) { a.succession = succession{last: .3, mean: .3} }

// manyAndFew is for requests that take as long where they meet many as where they meet few.
func manyAndFew(a *adaptiveLimit) { a.met.came = leastSquares{n: 50, many: 50, manies: 900, took: .4} }

// What one latency after the other says.
func TestSuccession(t *testing.T) {
	each := func(n int, f func(i int) float64) (u succession) {
		for i := range n {
			u.add(f(i))
		}
		return u
	}
	for _, tt := range []struct {
		name string
		seen succession
		want bool
	}{
		{"a line that grows", each(30, func(i int) float64 { return .02 + .02*float64(i) }), true},
		{"a line that stands", each(60, func(i int) float64 { return .5 + .02*float64(i%2) }), true},
		{"all are quick", each(60, func(int) float64 { return .014 }), false},
		{"all are slow", each(60, func(int) float64 { return .016 }), true},
		{"six answers take twice as long as all before", each(66, func(i int) float64 { return .01 + .01*float64(i/60) }), false},
		{"seven do", each(67, func(i int) float64 { return .01 + .01*float64(i/60) }), true},
		{"one takes a third longer than the other, by turns", each(60, func(i int) float64 { return .085 + .03*float64(i%2) }), true},
		{"one takes two fifths longer than the other, by turns", each(60, func(i int) float64 { return .083 + .034*float64(i%2) }), false},
		{"latencies vary", each(60, func(i int) float64 { return .1 + .1*float64(i%2) }), false},
		{"they vary by chance", each(60, func(i int) float64 { return .1 + .4*float64(i%2) }), false},
		{"the next one differs by hardly three tenths", succession{mean: 1, apart: .29}, false},
		{"by just more", succession{mean: 1, apart: .31}, false},
		{"nothing was answered", succession{}, false},
		{"one was", each(1, func(int) float64 { return 1 }), false},
	} {
		if got := tt.seen.orderly(.01); got != tt.want {
			t.Errorf("%s: orderly: got %v (mean %.3f, apart %.5f), want %v", tt.name, got, tt.seen.mean, tt.seen.apart, tt.want)
		}
	}
}

// Whether it is sure that those who took long did not stand in a line, by how many others
// each of them met.
func TestMet(t *testing.T) {
	each := func(n int, met func(i int) float64, took func(i int, met float64) float64) (m met) {
		for i := range n {
			at, many := time.Duration(i)*5*ms+time.Hour, met(i)
			m.add(Completion{At: at, Took: time.Duration(took(i, many) * 1e9), Met: int(many)}, at-5*ms)
		}
		return m
	}
	upTo := func(most float64) func(int) float64 { // by steps, again and again
		return func(i int) float64 { return most * float64(i%25+1) / 25 }
	}
	const slow, served = .9, 200.0 // s, and per second
	evenly := func(by float64) func(int, float64) float64 {
		return func(i int, _ float64) float64 { return slow * (1 + by*float64(i*7%5-2)/2) }
	}
	line := func(_ int, met float64) float64 { return met / served }
	for _, tt := range []struct {
		name string
		met  met
		want bool
	}{
		{"each takes as long", each(50, upTo(150), evenly(0)), true},
		{"they vary by a fifth", each(50, upTo(150), evenly(.2)), true},
		{"they vary so much that chance explains more", each(50, upTo(150), evenly(1)), false},
		{"so few tell", each(16, upTo(150), evenly(0)), true},
		{"fewer do not", each(15, upTo(150), evenly(0)), false},
		{"each met about as many, as at a limit", each(50, func(i int) float64 { return 150 + float64(i%10) }, evenly(0)), false},
		{"in a line", each(50, upTo(150), line), false},
		{"in a line behind work that takes as long", each(50, upTo(150), func(i int, met float64) float64 { return .4 + line(i, met) }), false},
		{"in a short line behind long work", each(50, upTo(150), func(i int, met float64) float64 { return 2 + line(i, met) }), true},
		{"the sooner the more they met, as after a stall", each(50, upTo(150), func(_ int, met float64) float64 { return slow - met/served }), false},
		{"once in a line, but not the last 200", each(250, upTo(150), func(i int, met float64) float64 {
			if i < 50 {
				return line(i, met)
			}
			return slow
		}), true},
		{"nothing is known", met{}, false},
	} {
		if got := tt.met.came.differs() && tt.met.came.flat(); got != tt.want {
			t.Errorf("%s: got %v, want %v: %+v", tt.name, got, tt.want, tt.met)
		}
	}
}

// Where processors are shared, a request takes the longer the more come after it.
func TestMetHalfway(t *testing.T) {
	var m met
	for i := range 50 {
		at, left := time.Duration(i)*5*ms+time.Hour, 100+200*(i*7%50)/50
		m.add(Completion{At: at, Took: 500*ms + time.Duration(left-100)*2500*time.Microsecond, Met: 6 * (i%25 + 1), InFlight: left}, at-5*ms)
	}
	if !m.came.differs() || !m.came.flat() || m.half.flat() {
		t.Errorf("takes as long by the number when it came: %v, and halfway: %v; want true and false", m.came.flat(), m.half.flat())
	}
}

// As long as fewer leave than come, it is not sure that there is no line.
func TestNoLine(t *testing.T) {
	as := seen{n: 75, seconds: 1, level: 100, took: sec}
	// The numbers halfway hardly differ, as where the first ones are still
	// there when the last ones come.
	unsure := func(a *adaptiveLimit) {
		a.calm.bound = true
		a.met.half = leastSquares{n: 50, many: 75, manies: 225, took: .4, tooks: .04}
	}
	more := func(a *adaptiveLimit) { unsure(a); a.calm.most, a.asked = 50, 100 }
	for _, tt := range []struct {
		name string
		seen seen
		with func(a *adaptiveLimit)
		want bool
	}{
		{"three of four of those in flight leave in the time that they take", as, nil, true},
		{"fewer", seen{n: 74, seconds: 1, level: 100, took: sec}, nil, false},
		{"the limit binds, the numbers halfway are not sure, and more calls come than ever", as, more, false},
		{"as many come as were served", as, func(a *adaptiveLimit) { more(a); a.calm.most = 100 }, true},
		{"the limit does not bind", as, func(a *adaptiveLimit) { more(a); a.calm.bound = false }, true},
		{"the numbers halfway say so too", as, func(a *adaptiveLimit) { more(a); a.met.half.tooks = .004 }, true},
		{"there was one number halfway", as, func(a *adaptiveLimit) { more(a); a.met.half = leastSquares{n: 50, many: 75, took: .4} }, false},
		{"they took longer where there were more halfway", as, func(a *adaptiveLimit) { more(a); a.met.half.tooks, a.met.half.both = .004, .8 }, false},
	} {
		a := settledLimit()
		manyAndFew(&a)
		if tt.with != nil {
			tt.with(&a)
		}
		if got := a.noLine(tt.seen.window()); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if a.met = (met{}); a.noLine(tt.seen.window()) {
			t.Errorf("%s, and nothing is known of those that they met: got true", tt.name)
		}
	}
}

// What a request that others were not answered beside says.
func TestMetInAPause(t *testing.T) {
	for _, tt := range []struct {
		name  string
		done  Completion
		last  time.Duration // answer before it
		quiet [2]time.Duration
		want  float64 // that say something
	}{
		{"none", Completion{At: 100 * ms, Took: 50 * ms}, 99 * ms, [2]time.Duration{}, 1},
		{"most of its time was a pause", Completion{At: 100 * ms, Took: 50 * ms}, 60 * ms, [2]time.Duration{}, 1},
		{"nearly all was", Completion{At: 100 * ms, Took: 50 * ms}, 59 * ms, [2]time.Duration{}, 0},
		{"the pause began long before it came", Completion{At: 100 * ms, Took: 50 * ms}, 0, [2]time.Duration{}, 0},
		{"nearly all was, before the last answer", Completion{At: 100 * ms, Took: 50 * ms}, 99 * ms, [2]time.Duration{0, 91 * ms}, 0},
		{"most was, before the last answer", Completion{At: 100 * ms, Took: 50 * ms}, 99 * ms, [2]time.Duration{0, 90 * ms}, 1},
		{"the pause was over when it came", Completion{At: 100 * ms, Took: 50 * ms}, 99 * ms, [2]time.Duration{0, 49 * ms}, 1},
		{"it came before, and waited for its client", Completion{At: 100 * ms, Took: 50 * ms, Paused: 40 * ms}, 99 * ms, [2]time.Duration{0, 51 * ms}, 0},
	} {
		m := met{quiet: tt.quiet[0], over: tt.quiet[1]}
		if m.add(tt.done, tt.last); m.came.n != tt.want || m.half.n != tt.want {
			t.Errorf("%s: got %v and %v, want %v", tt.name, m.came.n, m.half.n, tt.want)
		}
	}
}
