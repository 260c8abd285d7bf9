package limiter

import (
	"math"
	"testing"
	"time"
)

// pass has a request of a caller wait, be served for some time, and leave.
func (f *fairness) pass(caller uint64, now, took time.Duration) {
	w := newWaiter(now, Request{Caller: caller})
	f.push(w)
	f.enter(caller)
	f.remove(w)
	f.leave(caller, now+took, took)
}

// However many callers come, few are remembered: those that have used most first.
func TestFairnessForgets(t *testing.T) {
	f := newFairness()
	f.pass(1, time.Second, time.Minute)
	for key := range uint64(10 * mostIdle) {
		f.pass(key+2, time.Second, time.Microsecond)
		if n := len(f.callers); n > mostIdle {
			t.Fatalf("%d callers remembered after %d, want at most %d", n, key, mostIdle)
		}
	}
	if f.callers[1] == nil || f.active != 0 {
		t.Errorf("the heaviest caller is known: %t, with %d active; want it known, and none", f.callers[1] != nil, f.active)
	}
	for key := range uint64(10 * mostIdle) { // and if all are heavy
		f.pass(key+2, time.Second, time.Second)
	}
	if n := len(f.callers); n > mostIdle {
		t.Errorf("%d heavy callers remembered, want at most %d", n, mostIdle)
	}
}

// A caller with a request here is never forgotten.
func TestFairnessKeepsActiveCallers(t *testing.T) {
	f := newFairness()
	waits, works := newWaiter(0, Request{Caller: 1}), newWaiter(0, Request{Caller: 2})
	f.push(waits)
	f.push(works)
	f.enter(2)
	f.remove(works)
	for key := range uint64(3 * mostIdle) {
		f.pass(key+3, time.Second, time.Second)
	}
	if f.active != 2 || f.callers[1].waiting != 1 || f.callers[2].inFlight != 1 {
		t.Errorf("%d active, want the one that waits and the one that is served", f.active)
	}
}

// A caller who waits with two priorities keeps its place in each, and one whose requests
// all left without being served is idle.
func TestFairnessOfSeveralPriorities(t *testing.T) {
	f := newFairness()
	low, high := newWaiter(0, Request{Caller: 1, Priority: 0}), newWaiter(0, Request{Caller: 1, Priority: 1})
	other := newWaiter(0, Request{Caller: 2, Priority: 0})
	f.push(low)
	f.push(high)
	f.push(other)
	if f.active != 2 {
		t.Errorf("%d active, want 2", f.active)
	}
	f.enter(1)
	f.remove(high)
	if got := f.next(0).oldest; got != other {
		t.Errorf("the next is one of caller %d, want 2, who has no slot", got.caller)
	}
	f.enter(2)
	f.enter(2)
	if got := f.next(0).oldest; got != low {
		t.Errorf("the next is one of caller %d, want 1, who has fewer slots", got.caller)
	}
	f.push(high) // while it has a request in the handler, and one that waits
	f.remove(high)
	f.remove(low)
	f.remove(other)
	if f.active != 2 {
		t.Errorf("%d active, want both, who are served", f.active)
	}
	f.leave(1, 0, 0)
	f.leave(2, 0, 0)
	f.leave(2, 0, 0)
	f.push(low)
	f.remove(low)
	if f.active != 0 {
		t.Errorf("%d active at the end, want none", f.active)
	}
	for priority, lines := range f.lines {
		if n := len(lines.byCaller) + lines.next.Len() + lines.longest.Len(); n != 0 {
			t.Errorf("priority %d: %d lines are left, want none", priority, n)
		}
	}
}

// What was used fades, by the same factor for all, over any time.
func TestFairnessFades(t *testing.T) {
	f := newFairness()
	f.pass(1, time.Second, time.Second)
	f.pass(2, 2*time.Second+fairMemory, time.Second)
	if got, want := f.callers[2].used/f.callers[1].used, math.Exp(1+1./5); math.Abs(got-want) > 1e-9 {
		t.Errorf("what was used 6s later counts %v times as much, want %v", got, want)
	}
	for at := time.Minute; at < 24*time.Hour; at += time.Minute {
		f.pass(3, at, time.Second)
		if math.IsInf(f.scale, 0) || f.scale > mostScale || f.callers[3].used < f.callers[1].used {
			t.Fatalf("at %v: scale %v, used %v just now and %v long ago", at, f.scale, f.callers[3].used, f.callers[1].used)
		}
	}
	before := f.scale
	f.fade(0) // a clock that was set back
	if f.scale != before {
		t.Errorf("scale %v after the clock was set back, want %v", f.scale, before)
	}
}
