package limiter

import (
	"math"
	"testing"
	"time"
)

// What a request that finds no room does to a limit of 175, some time after the last
// answer.
func TestSilence(t *testing.T) {
	crowded := func(a *adaptiveLimit) { a.asked = 2000 } // more than was served
	for _, tt := range []struct {
		name  string
		set   func(*adaptiveLimit)
		quiet time.Duration
		want  float64
	}{
		{"for twice as long as they take, and a little: they take so long", nil, 40 * ms, 175},
		{"for longer: twice as many", nil, 40*ms + 1, 350},
		{"but no more than clients bear", func(a *adaptiveLimit) { a.calm.most, a.asked = 255, 255 }, 41 * ms, 300},
		{"and no more after that", func(a *adaptiveLimit) { a.calm.most, a.asked = 148, 148 }, 41 * ms, 175},
		{"a tenth more than was served is asked for: twice as many", func(a *adaptiveLimit) { a.asked = 1100 }, 41 * ms, 350},
		{"more is: it stays", func(a *adaptiveLimit) { a.asked = 1101 }, 41 * ms, 175},
		{"a trial goes on: it stays", func(a *adaptiveLimit) { a.trials.on = true }, 41 * ms, 175},
		{"they may stand in a line, and fewer than three of four came since: it stays", oneByOne, 131 * ms, 175},
		{"just three of four did: twice as many", oneByOne, 131250 * time.Microsecond, 350},
		{"more did: twice as many", oneByOne, 132 * ms, 350},
		{"more is asked for, for a fourth of a second: it stays", crowded, 250 * ms, 175},
		{"for longer: one more", crowded, 250*ms + 1, 176},
		{"not for five times as long as they take: it stays", func(a *adaptiveLimit) { crowded(a); a.usual, a.latency = .1, .2 }, 500 * ms, 175},
		{"for longer than that: one more", func(a *adaptiveLimit) { crowded(a); a.usual, a.latency = .1, .2 }, 501 * ms, 176},
		{"for five times as long: one more", func(a *adaptiveLimit) { crowded(a); a.usual, a.latency = .2, .1 }, 501 * ms, 176},
		{"one more was let in since: it stays", func(a *adaptiveLimit) { crowded(a); a.silence.tried = time.Hour + 100*ms }, 350 * ms, 175},
		{"and long ago: one more", func(a *adaptiveLimit) { crowded(a); a.silence.tried = time.Hour + 100*ms }, 351 * ms, 176},
		{"no more are allowed: it stays", func(a *adaptiveLimit) { crowded(a); a.max = 175 }, sec, 175},
		{"no more are allowed, though clients would bear it: it stays", func(a *adaptiveLimit) { a.max = 175 }, sec, 175},
		{"nothing was ever answered: twice as many", func(a *adaptiveLimit) { crowded(a); a.last = 0 }, 1, 350},
		{"the limit is given: it stays", func(a *adaptiveLimit) { a.fixed = true }, sec, 175},
	} {
		a := settledLimit()
		a.last, a.usual, a.latency, a.asked = time.Hour, .01, .01, 1000
		if tt.set != nil {
			tt.set(&a)
		}
		moved := a.short(time.Hour + tt.quiet)
		if a.limit != tt.want || moved != (tt.want > 175) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, a.limit, moved, tt.want)
		}
		if tried := a.silence.tried == time.Hour+tt.quiet; tried != (tt.want == 176 || a.max == 175) {
			t.Errorf("%s: one more was let in: got %v", tt.name, tried)
		}
	}
}

// What the answer to one more, let in during a silence, does to a limit of 175. Three of
// four answers took less than 350 ms.
func TestSilenceEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		quiet   bool          // one more was let in, an hour ago
		came    time.Duration // after that
		took    time.Duration
		outcome Outcome
		want    float64
	}{
		{"nobody was let in: it stays", false, 0, 10 * ms, Served, 175},
		{"one more is as quick as ever, so the others hang: half as much again", true, 0, 10 * ms, Served, 263},
		{"it came later: half as much again", true, ms, 10 * ms, Served, 263},
		{"it is one of those from before: it stays", true, -1, 10 * ms, Served, 175},
		{"it takes twice as long as most: half as much again", true, 0, 700 * ms, Served, 263},
		{"it takes longer than that, as all do: it stays", true, 0, 701 * ms, Served, 175},
		{"it failed, which tells nothing: it stays", true, 0, 10 * ms, Failed, 175},
		{"its client left, so it may hang, too: it stays", true, 0, 10 * ms, Gone, 175},
	} {
		a := settledLimit()
		if tt.quiet {
			a.silence.tried = time.Hour
		}
		moved := a.answered(Completion{At: time.Hour + tt.came + tt.took, Took: tt.took, Outcome: tt.outcome})
		if a.limit != tt.want || moved != (tt.want > 175) || moved != (a.why != "") {
			t.Errorf("%s: got %v, %v, want %v", tt.name, a.limit, moved, tt.want)
		}
		if a.silence.tried != 0 {
			t.Errorf("%s: another answer would count as well", tt.name)
		}
	}
}

// What a handler completes a second, of which 200 are known, after a window of so many.
func TestCompleting(t *testing.T) {
	for _, tt := range []struct {
		name    string
		seconds float64
		stood   time.Duration
		stuck   bool
		all     float64
		want    float64
	}{
		{"half as many for a second", 1, 0, false, 100, 200 - 100*(1-math.Exp(-1))},
		{"twice as many for a second", 1, 0, false, 400, 200 + 200*(1-math.Exp(-1))},
		{"it stood still for 10 s, then half as many for half a second", 10.5, 10 * sec, true, 50, 200 - 100*(1-math.Exp(-.5))},
		{"then as many as ever", 10.5, 10 * sec, true, 100, 200},
		{"then many that were stuck, at once", 10.001, 10 * sec, true, 500, 200},
		{"then more of them in the next window", .1, 0, true, 500, 200},
		{"it stood still to the end", 10, 10 * sec, true, 500, 200},
	} {
		a := settledLimit()
		a.work = 200
		if got := a.completing(&window{n: 1, all: tt.all, seconds: tt.seconds, stood: tt.stood, stuck: tt.stuck}); !(math.Abs(got-tt.want) < 1e-6) {
			t.Errorf("%s: got %v a second, want %v", tt.name, got, tt.want)
		}
	}
}

// Which time without a completion counts as a standstill: longer than longQuiet, not soon
// after the one before, and one that is completed after it was in the handler for more
// than half of it.
func TestStandstill(t *testing.T) {
	type done struct{ quiet, took time.Duration }
	for _, tt := range []struct {
		name        string
		usual, mean float64
		done        []done
		stood       time.Duration
		stuck       bool
	}{
		{"a fourth of a second is not long", .01, .01, []done{{250 * ms, 250 * ms}}, 0, false},
		{"more is", .01, .01, []done{{251 * ms, 251 * ms}}, 251 * ms, true},
		{"not if it came in the second half", .01, .01, []done{{252 * ms, 126 * ms}}, 0, false},
		{"but if it came in the first", .01, .01, []done{{252 * ms, 127 * ms}}, 252 * ms, true},
		{"or if one after it did", .01, .01, []done{{252 * ms, ms}, {ms, 128 * ms}}, 252 * ms, true},
		{"it counts once", .01, .01, []done{{252 * ms, 252 * ms}, {ms, 253 * ms}}, 252 * ms, true},
		{"five times what requests take is not long", .08, .09, []done{{400 * ms, 400 * ms}}, 0, false},
		{"nor by the mean of what they take", .09, .08, []done{{400 * ms, 400 * ms}}, 0, false},
		{"more is, too", .08, .09, []done{{401 * ms, 401 * ms}}, 401 * ms, true},
		{"not soon after the one before", .01, .01, []done{{300 * ms, 300 * ms}, {200 * ms, ms}, {200 * ms, ms}, {200 * ms, ms}, {300 * ms, 300 * ms}}, 300 * ms, true},
		{"but soon after it had nothing to do", .01, .01, []done{{300 * ms, ms}, {200 * ms, ms}, {300 * ms, 300 * ms}}, 300 * ms, true},
		{"but later", .01, .01, []done{{300 * ms, 300 * ms}, {201 * ms, ms}, {200 * ms, ms}, {200 * ms, ms}, {300 * ms, 300 * ms}}, 600 * ms, true},
	} {
		a := settledLimit()
		a.last, a.usual, a.latency = time.Hour, tt.usual, tt.mean
		a.window = window{since: time.Hour}
		for _, d := range tt.done {
			now := a.last + d.quiet
			a.standstill(Completion{At: now, Took: d.took})
			a.last = now
		}
		if w := &a.window; w.stood != tt.stood || w.stuck != tt.stuck {
			t.Errorf("%s: it stood still for %v, and requests were stuck: %v; want %v, %v", tt.name, w.stood, w.stuck, tt.stood, tt.stuck)
		}
	}
}

// Requests that were stuck show up in later windows too. A standstill is part of the window in
// which it was.
func TestStandstillLeaves(t *testing.T) {
	a := settledLimit()
	a.last, a.usual, a.latency = 100*ms, .01, .01 // soon after the start
	a.window = window{since: a.last}
	at := a.last + sec
	for range 2 {
		a.standstill(Completion{At: at, Took: sec})
		a.last = at
	}
	if a.window.stood != sec {
		t.Errorf("it stood still for %v, want 1s", a.window.stood)
	}
	a.window = window{since: at}
	if a.standstill(Completion{At: at, Took: sec}); !a.window.stuck || a.window.stood != 0 {
		t.Errorf("in the next window: stuck %v, stood still for %v, want true, 0s", a.window.stuck, a.window.stood)
	}
	a.window = window{since: at}
	if a.standstill(Completion{At: at + ms, Took: ms}); a.window.stuck {
		t.Error("one that came when it was over was not stuck")
	}
	at += time.Minute
	a.last, a.window = at, window{since: at}
	a.standstill(Completion{At: at + sec, Took: ms})
	a.last, a.window = at+sec, window{since: at + sec}
	if a.standstill(Completion{At: at + sec, Took: sec}); a.window.stood != 0 {
		t.Error("a standstill in an earlier window counts in a later one")
	}
}
