package limiter

import (
	"math"
	"testing"
)

// How long clients wait, and from when on an answer is late for them, in seconds.
func TestPatience(t *testing.T) {
	say := func(s float64, n int) func(*patience) {
		return func(p *patience) {
			for range n {
				p.say(s)
			}
		}
	}
	leave := func(s float64, n int) func(*patience) {
		return func(p *patience) {
			for range n {
				p.leave(s)
			}
		}
	}
	stay := func(s float64, n int) func(*patience) {
		return func(p *patience) {
			for range n {
				p.stay(s)
			}
		}
	}
	const lasted = .5 * 1.001 // once two left after .5
	for _, tt := range []struct {
		name  string
		do    []func(*patience)
		base  float64
		known float64 // 0: not
		bears float64 // 0: not known
		late  float64
	}{
		{"nothing is known", nil, .01, 0, 0, .25},
		{"the work takes long", nil, .4, 0, 0, .8},
		{"they say it", []func(*patience){say(2, 1)}, .01, 2, 1.6, .5},
		{"they say it, and the work takes long", []func(*patience){say(2, 1)}, .4, 2, 1.6, .8},
		{"they do not wait for twice the work", []func(*patience){say(2, 1)}, .6, 2, 1.6, 1},
		{"they hardly wait for the work", []func(*patience){say(2, 1)}, 1, 2, 1.6, 1.5},
		{"others say less", []func(*patience){say(2, 1), say(1, 1)}, .01, 1.95, 1.56, .4875},
		{"others say less, for long", []func(*patience){say(2, 1), say(1, 400)}, .01, 1, .8, .25},
		{"they left", []func(*patience){leave(.5, 1)}, .01, .5, .4, .125},
		{"one left before the others: it does not decide for them", []func(*patience){leave(.5, 2), leave(.1, 1)}, .01, lasted*.7 + .03, .8 * (lasted*.7 + .03), (lasted*.7 + .03) / 4},
		{"they all leave sooner now", []func(*patience){leave(.5, 1), leave(.1, 200)}, .01, .1, .08, .025},
		{"one stayed for longer", []func(*patience){leave(.1, 1), stay(1.1, 1)}, .01, .11, .088, .0275},
		{"they all do", []func(*patience){leave(.1, 1), stay(1.1, 3000)}, .01, 1.1, .88, .275},
		{"one did not stay for longer", []func(*patience){leave(.5, 1), stay(.4, 1)}, .01, .5, .4, .125},
		{"one stayed, and nobody has left", []func(*patience){stay(.4, 1)}, .01, 0, 0, .25},
		{"but the others do not", []func(*patience){leave(.1, 1), leave(.5, 1000)}, .01, .1 * math.Pow(1.001, 1000), .08 * math.Pow(1.001, 1000), .025 * math.Pow(1.001, 1000)},
		{"another leaves after as long: a little longer is borne", []func(*patience){leave(.5, 2)}, .01, .5005, .4004, .125125},
		{"they left before they said", []func(*patience){say(2, 1), leave(.5, 1)}, .01, .5, .4, .125},
		{"they said less than until when others left", []func(*patience){say(.5, 1), leave(2, 1)}, .01, .5, .4, .125},
	} {
		var p patience
		for _, do := range tt.do {
			do(&p)
		}
		for what, v := range map[string][2]float64{"known": {p.known(), tt.known}, "bears": {p.bears(), tt.bears}, "late": {p.target(tt.base), tt.late}} {
			if math.Abs(v[0]-v[1]) > 1e-6 {
				t.Errorf("%s: %s: got %v s, want %v s", tt.name, what, v[0], v[1])
			}
		}
	}
}

// What clients bear of whom nothing is known, or who say it.
func TestWhatClientsBear(t *testing.T) {
	for _, tt := range []struct {
		name              string
		said, base, usual float64
		line              bool
		want              float64
	}{
		{"nothing is known: a second", 0, .01, .4, false, 1},
		{"they say it", 2, .01, 4, false, 1.6},
		{"the work takes long: twice that", 0, 3, .4, false, 6},
		{"they have borne much: half as much again", 0, .3, 2, false, 3},
		{"that, but there may be a line: it says nothing", 0, .3, 2, true, 1},
		{"there may be a line, and the work takes long", 0, 3, 20, true, 6},
	} {
		a := settledLimit()
		a.patience.said, a.trials.base, a.usual = tt.said, tt.base, tt.usual
		if tt.line {
			a.succession.mean, a.succession.apart = tt.usual, 0
		}
		if got := a.bears(); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: got %v s, want %v s", tt.name, got, tt.want)
		}
	}
}
