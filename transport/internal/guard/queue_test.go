package guard_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// Who is next, by name, and who is too late (in brackets), until nobody is.
func TestOrder(t *testing.T) {
	type waiter struct {
		name             string
		left             time.Duration
		resent, unproved bool
	}
	few := []waiter{{name: "far", left: 5 * T}, {name: "near", left: 2 * T}, {name: "middle", left: 4 * T}}
	mixed := []waiter{{name: "retry", left: 2 * T, resent: true}, {name: "call", left: 5 * T}}
	flows := all(limited(4), wait(1), see(1, 20*ms, success))
	for _, tt := range []struct {
		rule    string
		steps   step
		waiters []waiter
		want    string
	}{
		{"while successes come, the earliest deadline", flows, few, "near middle far"},
		{"first attempts before retries", flows, mixed, "call retry"},
		{"of retries too, the earliest deadline", flows, []waiter{{name: "far", left: 5 * T, resent: true}, {name: "near", left: 2 * T, resent: true}}, "near far"},
		{"of those that wait for a success too", flows, []waiter{{name: "far", left: 5 * T, resent: true, unproved: true}, {name: "near", left: 2 * T, resent: true, unproved: true}}, "near far"},
		{"while none come, the latest", limited(4), few, "far middle near"},
		{"while the last is no more than an epoch ago, the earliest", all(flows, wait(T/4)), few, "near middle far"},
		{"while the last is an epoch ago, the latest", all(flows, wait(T/4+1)), few, "far middle near"},
		{"a success from before the cut does not count", all(limited(4), wait(-1), see(1, 20*ms, success), wait(T), late(1), wait(T), late(1)), few, "far"},
		{"nor does one at that moment", all(limited(4), each(0, 1, 20*ms, success)), few, "far middle near"},
		{"while refusals come, the earliest: the service is at work", all(limited(8), wait(1), hold(7), see(1, 0, shed), hold(0)), few, "near middle far"},
		{"while the last is an epoch ago, the latest too", all(limited(8), wait(1), hold(7), see(1, 0, shed), hold(0), wait(T/4+1)), few, "far middle near"},
		{"nor does a refusal from before the cut count", all(limited(8), hold(7), each(0, 1, 0, shed), hold(0)), few, "far middle near"},
		{"of two with the same deadline, the one that came first", limited(4), []waiter{{name: "one", left: 5 * T}, {name: "other", left: 5 * T}}, "one other"},
		{"as many as there is room for", all(limited(2), wait(1)), few, "far middle"},
		{"none without room", all(limited(2), hold(2)), few, ""},
		{"a probe without room", all(limited(2), ask(2), wait(T)), few, "far"},
		{"who has no time left is too late", flows, []waiter{{name: "late", left: 39 * ms}, {name: "call", left: 5 * T}}, "(late) call"},
		{"who has just enough is not", flows, []waiter{{name: "call", left: 41 * ms}}, "call"},
		{"a retry may have to wait for a success", limited(4), []waiter{{name: "retry", left: 5 * T, resent: true, unproved: true}}, ""},
		{"and goes once there is one", flows, []waiter{{name: "retry", left: 5 * T, resent: true, unproved: true}}, "retry"},
		{"nor does it have to, if all was refused and nothing timed out", all(calls(20), wait(T), hold(20), see(8, 5*ms, shed), hold(0), wait(T)), []waiter{{name: "call", left: 3 * T}, {name: "retry", left: 5 * T, resent: true, unproved: true}}, "retry call"},
		{"others go before it", limited(4), []waiter{{name: "unproved", left: 3 * T, resent: true, unproved: true}, {name: "retry", left: 5 * T, resent: true}}, "retry"},
		{"and instead of it", limited(4), []waiter{{name: "unproved", left: 6 * T, resent: true, unproved: true}, {name: "call", left: 5 * T}}, "call"},
	} {
		w := newWorld()
		w.do(tt.steps)
		names := map[*guard.Waiter]string{}
		for _, x := range tt.waiters {
			waiter := &guard.Waiter{
				Attempt: guard.Attempt{Scale: w.scale, First: !x.resent}, Resent: x.resent,
				Deadline: w.now + x.left, Unproved: x.unproved,
			}
			names[waiter] = x.name
			w.Wait(waiter)
		}
		got := ""
		for next, ok := w.Next(w.now, len(w.held)); next != nil; next, ok = w.Next(w.now, len(w.held)) {
			name := names[next]
			if !ok {
				name = "(" + name + ")"
			} else {
				if next.Start != w.now {
					t.Errorf("%s: %s starts at %v, want %v", tt.rule, name, next.Start, w.now)
				}
				w.held = append(w.held, next.Attempt)
			}
			got += " " + name
			if w.Leave(next) {
				t.Errorf("%s: %s still waits", tt.rule, name)
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.rule, got, tt.want)
		}
	}
}

func TestLeave(t *testing.T) {
	l := newWorld().Limiter
	if l.First() != nil || l.Waiting() != 0 {
		t.Errorf("%d wait, want none", l.Waiting())
	}
	var ws []*guard.Waiter
	for _, left := range []time.Duration{3 * T, T, 4 * T, 2 * T} {
		w := &guard.Waiter{Deadline: left}
		ws = append(ws, w)
		l.Wait(w)
	}
	for i, w := range ws[:3] {
		if !l.Leave(w) || l.Leave(w) || l.Waiting() != 3-i {
			t.Errorf("%d wait after %d left, want %d", l.Waiting(), i+1, 3-i)
		}
	}
	if got := l.First(); got != ws[3] {
		t.Errorf("first is the one with %v, want %v", got.Deadline, ws[3].Deadline)
	}
}

// If one gives up, the others keep their place.
func TestLeaveLast(t *testing.T) {
	l := newWorld().Limiter
	near, far := &guard.Waiter{Deadline: T}, &guard.Waiter{Deadline: 2 * T}
	l.Wait(near)
	l.Wait(far)
	if !l.Leave(far) || l.First() != near || l.Waiting() != 1 {
		t.Errorf("first is the one with %v of %d, want %v alone", l.First().Deadline, l.Waiting(), T)
	}
}

// When there may be room again.
func TestWake(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps step
		after time.Duration
	}{
		{"after an epoch", limited(4), T / 4},
		{"after the pause of a refusal", all(limited(1), see(1, 5*ms, shed)), 20 * ms},
		{"when the next probe is due", all(limited(1), wait(T/4), late(1), ask(1)), 500 * ms},
	} {
		w := newWorld()
		w.do(tt.steps)
		if got := w.Wake(w.now, w.scale) - w.now; got.Round(ms) != tt.after {
			t.Errorf("%s: %v, want %v", tt.rule, got, tt.after)
		}
	}
}

// When a pause is over, or a probe is due, that is no reason to look at once again.
func TestWakeIsLater(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps step
	}{
		{"a pause", all(limited(1), see(1, 5*ms, shed))},
		{"a probe", all(limited(1), wait(T/4), late(1), ask(1))},
	} {
		w := newWorld()
		w.do(tt.steps)
		w.now = w.Wake(w.now, w.scale)
		if got := w.Wake(w.now, w.scale) - w.now; got != T/4 {
			t.Errorf("%s: %v after it, want %v", tt.rule, got, T/4)
		}
	}
}

// How long until the next probe of a window that is shut.
func TestGap(t *testing.T) {
	for _, tt := range []struct {
		perSecond float64
		probes    int // before
		want      time.Duration
	}{
		{100, 9, 500 * ms}, {20, 9, T}, {5, 9, 2 * T}, {1, 9, 4 * T}, {0.1, 9, 16 * T}, {0, 9, 16 * T}, {0, 0, 16 * T},
		{1, 0, T}, {1, 1, 2 * T}, {100, 0, 500 * ms}, {4, 0, 500 * ms}, {4, 1, 500 * ms}, {4, 2, T}, {4, 3, 2 * T},
	} {
		w := newWorld()
		if tt.perSecond > 0 {
			w.do(calls(tt.perSecond))
		}
		w.do(limit(1), wait(T/4), late(1))
		for range tt.probes {
			w.now += 20 * T
			w.do(ask(1))
		}
		w.now += 20 * T
		w.do(ask(1))
		got := w.Wake(w.now, w.scale) - w.now
		if (got - tt.want).Abs() > tt.want/20 {
			t.Errorf("%v calls per second, %d probes before: %v, want %v", tt.perSecond, tt.probes, got, tt.want)
		}
	}
}
