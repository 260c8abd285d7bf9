package redisrate

import (
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	const ms = time.Millisecond
	fail := func(at time.Duration) func(*pulse) { return func(p *pulse) { p.failed(at) } }
	answer := func(took time.Duration) func(*pulse) { return func(p *pulse) { p.answered(took) } }
	ask := func(at time.Duration) func(*pulse) { return func(p *pulse) { p.ask(at) } }
	for _, tt := range []struct {
		name   string
		events []func(*pulse)
		now    time.Duration
		want   question
	}{
		{"nothing has happened", nil, time.Hour, question{ask: true, wait: time.Second}},
		{"nothing has come of the first call", []func(*pulse){ask(ms)}, 201 * ms, question{ask: true, wait: 800 * ms}},
		{"nothing comes of it", []func(*pulse){ask(ms)}, time.Hour, question{ask: true, wait: 50 * ms}},
		{"the first was answered", []func(*pulse){ask(0), answer(300 * ms)}, 300 * ms, question{ask: true, wait: 50 * ms}},
		{"the first failed", []func(*pulse){ask(0), fail(ms)}, ms, question{ask: true, wait: 50 * ms}},
		{"two failed long ago", []func(*pulse){fail(1), fail(2)}, time.Hour, question{ask: true, wait: 50 * ms}},
		{"many failed in a moment", []func(*pulse){fail(0), fail(10 * ms), fail(20 * ms), fail(90 * ms)}, 199 * ms, question{ask: true, wait: 50 * ms}},
		{"three failed over a time", []func(*pulse){fail(0), fail(100 * ms), fail(200 * ms)}, 200 * ms, question{ask: true, probe: true}},
		{"it was asked a while ago", []func(*pulse){fail(0), fail(0), fail(0), ask(time.Second)}, 1999 * ms, question{}},
		{"it was asked a pause ago", []func(*pulse){fail(0), fail(0), fail(0), ask(time.Second)}, 2 * time.Second, question{ask: true, probe: true}},
		{"an answer came too late", []func(*pulse){fail(0), fail(0), fail(0), answer(51 * ms)}, 201 * ms, question{ask: true}},
		{"an answer came in time", []func(*pulse){fail(0), fail(0), fail(0), answer(50 * ms)}, time.Hour, question{ask: true, wait: 50 * ms}},
		{"some failed before an answer", []func(*pulse){fail(0), fail(0), answer(ms), fail(300 * ms)}, 301 * ms, question{ask: true, wait: 50 * ms}},
		{"some failed after an answer", []func(*pulse){answer(ms), fail(300 * ms), fail(400 * ms), fail(500 * ms)}, 501 * ms, question{ask: true, probe: true}},
	} {
		p := pulse{timeout: 50 * ms, pause: time.Second, asked: -time.Second}
		for _, event := range tt.events {
			event(&p)
		}
		if got := p.ask(tt.now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
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
