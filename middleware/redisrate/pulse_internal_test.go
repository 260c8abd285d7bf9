package redisrate

import (
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	const ms = time.Millisecond
	fail := func(at time.Duration) func(*pulse) { return func(p *pulse) { p.failed(at) } }
	answer := func(took time.Duration) func(*pulse) { return func(p *pulse) { p.answered(took) } }
	for _, tt := range []struct {
		name      string
		events    []func(*pulse)
		now       time.Duration
		ask, wait bool
	}{
		{"nothing has happened", nil, 0, true, true},
		{"two failed long ago", []func(*pulse){fail(1), fail(2)}, time.Hour, true, true},
		{"many failed in a moment", []func(*pulse){fail(0), fail(10 * ms), fail(20 * ms), fail(90 * ms)}, 199 * ms, true, true},
		{"three failed over a time", []func(*pulse){fail(0), fail(100 * ms), fail(200 * ms)}, 200 * ms, true, false},
		{"it was asked a while ago", []func(*pulse){fail(0), fail(0), fail(0), func(p *pulse) { p.ask(time.Second) }}, 1999 * ms, false, false},
		{"it was asked a pause ago", []func(*pulse){fail(0), fail(0), fail(0), func(p *pulse) { p.ask(time.Second) }}, 2 * time.Second, true, false},
		{"an answer came too late", []func(*pulse){fail(0), fail(0), fail(0), answer(51 * ms)}, 201 * ms, true, false},
		{"an answer came in time", []func(*pulse){fail(0), fail(0), fail(0), answer(50 * ms)}, time.Hour, true, true},
		{"some failed before an answer", []func(*pulse){fail(0), fail(0), answer(ms), fail(300 * ms)}, 301 * ms, true, true},
		{"some failed after an answer", []func(*pulse){answer(ms), fail(300 * ms), fail(400 * ms), fail(500 * ms)}, 501 * ms, true, false},
	} {
		p := pulse{timeout: 50 * ms, pause: time.Second, asked: -time.Second}
		for _, event := range tt.events {
			event(&p)
		}
		if ask, wait := p.ask(tt.now); ask != tt.ask || wait != tt.wait {
			t.Errorf("%s: ask %v and wait %v, want %v and %v", tt.name, ask, wait, tt.ask, tt.wait)
		}
	}
}

func TestPulseTellsOnceInAPause(t *testing.T) {
	p := pulse{pause: time.Second}
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {1, false}, {time.Second, false}, {time.Second + 1, true}, {time.Second + 2, false}, {time.Minute, true}} {
		if got := p.tell(tt.at); got != tt.want {
			t.Errorf("at %v: told %v, want %v", tt.at, got, tt.want)
		}
	}
}
