package limiter

import (
	"testing"
	"time"
)

// What a window is taken for, while the limit binds or a trial goes on.
func TestJudge(t *testing.T) {
	const (
		less  = "trial of less"
		probe = "trial of more, as nothing is late"
		vain  = "more at a time give no more answers"
		more  = "trial of more, as no more is asked for"
	)
	late := func(set func(*seen)) seen { // 500 a second of 2000
		s := seen{n: 250, seconds: .5, level: 175, asked: 1000}
		if set != nil {
			set(&s)
		}
		return s
	}
	changed := seen{n: 50, seconds: .1, level: 175, took: 200 * ms, asked: 100} // many have yet to leave
	settles := seen{n: 50, seconds: .1, level: 175, asked: 100}
	calmer := func(a *adaptiveLimit) { a.asked, a.useful = 1000, 900 } // no more than in calm

	quick := func(n int) seen { // 1000 a second
		return seen{n: n, seconds: float64(n) / 1000, level: 175, asked: 1.2 * float64(n)}
	}
	none := func(a *adaptiveLimit) { a.trials.arm = *seen{n: 1, seconds: .001, level: 175}.window() }
	inLine := func(a *adaptiveLimit) {
		a.trials.line = true
		a.asked, a.useful = 1200, 1000
		a.trials.arm = *seen{n: 30, seconds: .03, level: 175, asked: 36}.window()
	}
	refused := func(a *adaptiveLimit) { a.trials.line = true; a.asked, a.useful = 2001, 1000; a.trials.arm = window{} }
	trial := func(a *adaptiveLimit) { // of more
		a.trials.on, a.trials.limit, a.limit = true, 175, 350
		a.trials.before = *seen{n: 500, seconds: 1, level: 175}.window()
		a.trials.arm = *seen{n: 30, seconds: .06, level: 350, asked: 120}.window()
	}
	for _, tt := range []struct {
		name  string
		set   func(*adaptiveLimit)
		seen  seen
		limit float64
		why   string
		kept  int // answers that the next window is added to, of 30 before
	}{
		{"late: a trial", nil, late(nil), 44, less, 0},
		{"late, but of the limit before: wait", nil, late(func(s *seen) { s.stale = 51 }), 175, "", 30},
		{"a fifth is of the limit before: a trial", nil, late(func(s *seen) { s.stale = 50 }), 44, less, 0},
		{"of the limit before, and of no use to most: a trial at once", nil, late(func(s *seen) { s.stale, s.gone = 250, 126 }), 44, less, 0},
		{"of the limit before, and of use to half: wait", nil, late(func(s *seen) { s.stale, s.gone = 250, 125 }), 175, "", 30},
		{"of the limit before a trial, and of no use to most: wait", trial, seen{n: 250, seconds: .5, level: 290, gone: 126, stale: 250}, 350, "", 30},
		{"fewer than four fifths of what is answered are asked for: anew", nil, late(func(s *seen) { s.asked = 199 }), 175, "", 0},
		{"four fifths are: a trial", nil, late(func(s *seen) { s.asked = 200 }), 88, less, 0},
		{"a trial goes on", trial, seen{n: 20, seconds: .05, level: 350, asked: 9}, 350, "", 50},
		{"a trial goes on, whatever leaves", trial, seen{n: 20, seconds: .05, level: 350, took: 100 * ms, asked: 40}, 350, "", 50},
		{"that, and no more is asked for", func(a *adaptiveLimit) { trial(a); calmer(a) }, seen{n: 20, seconds: .05, level: 350, took: 100 * ms, asked: 20}, 350, "", 50},
		{"a trial of more gives nothing, and clients leave: a line", trial, seen{n: 250, seconds: .5, level: 350, gone: 100, asked: 1000}, 88, less, 0},
		{"that, and nothing was late before: back", func(a *adaptiveLimit) {
			trial(a)
			a.trials.before = *seen{n: 1000, seconds: 1, level: 175}.window()
		}, seen{n: 500, seconds: .5, level: 350, gone: 60}, 175, vain, 0},
		{"latency has just changed, and no more is asked for: anew", calmer, changed, 175, "", 0},
		{"it has for as long as most take: a trial", func(a *adaptiveLimit) { calmer(a); a.trials.unsettled = .3 }, changed, 350, more, 0},
		{"it has just changed, but more is asked for: that is kept", nil, changed, 175, "", 80},
		{"it has not changed, and no more is asked for: a trial", calmer, settles, 350, more, 0},
		{"no trial for a while: what is seen is kept", func(a *adaptiveLimit) { a.trials.hold = time.Minute + 1 }, late(nil), 175, "", 280},
		{"that while is over: a trial", func(a *adaptiveLimit) { a.trials.hold = time.Minute }, late(nil), 44, less, 0},
		{"nothing is late, and no line is known: anew", none, quick(300), 175, "", 0},
		{"a line, and nothing is late: enough tell of half as many more", inLine, quick(500), 263, probe, 0},
		{"a line, and nothing is late: too few do", inLine, quick(460), 175, "", 490},
		{"a line, and it is late: less", inLine, late(nil), 47, less, 0},
		{"a line, nothing is late, and most are refused: twice as many", refused, quick(16), 350, crowded, 0},
		{"a line, it is late, and most are refused: less", refused, late(nil), 44, less, 0},
		{"15 do not tell", refused, quick(15), 175, "", 15},
		{"no line, nothing is late, and most are refused: anew", func(a *adaptiveLimit) { refused(a); a.trials.line = false; none(a) }, quick(16), 175, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := settledLimit()
			a.trials.arm = *seen{n: 30, seconds: .06, level: 175, asked: 120}.window()
			if tt.set != nil {
				tt.set(&a)
			}
			on := tt.why != vain && (tt.why != "" || a.trials.on)
			a.judge(time.Minute, tt.seen.window())
			if a.limit != tt.limit || a.why != tt.why {
				t.Errorf("got limit %v, %q, want %v, %q", a.limit, a.why, tt.limit, tt.why)
			}
			if a.trials.on != on {
				t.Errorf("got a trial: %v, want %v", a.trials.on, on)
			}
			if got := a.trials.arm.n; got != tt.kept {
				t.Errorf("kept %d answers, want %d", got, tt.kept)
			}
		})
	}
}

// What is remembered of the time since the limit was moved.
func TestJudgeRemembers(t *testing.T) {
	w := seen{n: 5, seconds: .5, level: 175, asked: 1000}.window()
	a := settledLimit()
	a.trials.before = *w
	a.judge(time.Minute, w)
	a.judge(time.Minute, w)
	if tr := &a.trials; tr.span != 1 || tr.useful != 10 {
		t.Errorf("got %v answers in %v s since the limit was moved, want 10 in 1 s", tr.useful, tr.span)
	}
	if a.move(time.Minute, 88, "down"); a.trials.span != 0 || a.trials.useful != 0 {
		t.Errorf("after another move, got %v answers in %v s", a.trials.useful, a.trials.span)
	}
}
