package limiter

import (
	"math"
	"strings"
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

// How many callers without a request here are remembered: of those that are too many, half
// as many as may be are kept, and those that have used much.
func TestFairnessRemembers(t *testing.T) {
	for _, tt := range []struct {
		name               string
		light, heavy, busy int
		want               int // without a request here
	}{
		{"as many as may be", 4096, 0, 0, 4096},
		{"one more: half of that", 4097, 0, 0, 2048},
		{"beside many with a request here, who do not count", 4096, 0, 3000, 4096},
		{"one more beside those", 4097, 0, 3000, 2048},
		{"some that have used more than a millisecond, and are kept", 3900, 197, 0, 2048},
		{"all have", 0, 4097, 0, 2048},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, key := newFairness(), uint64(0)
			for range tt.busy { // each is served, and waits
				key++
				f.push(newWaiter(time.Second, Request{Caller: key}))
				f.enter(key)
			}
			used := map[uint64]bool{}
			for range tt.heavy {
				key++
				f.pass(key, time.Second, time.Second)
				used[key] = true
			}
			for range tt.light {
				key++
				f.pass(key, 2*time.Second-time.Millisecond, time.Millisecond)
			}
			if got := len(f.callers) - tt.busy; got != tt.want || f.active != tt.busy {
				t.Errorf("got %d beside %d, want %d beside %d", got, f.active, tt.want, tt.busy)
			}
			for caller := range uint64(tt.busy) {
				if f.callers[caller+1] == nil {
					t.Fatalf("caller %d is forgotten, who has a request here", caller+1)
				}
			}
			for caller := range used {
				if tt.light > 0 && f.callers[caller] == nil {
					t.Fatalf("caller %d is forgotten, who has used much", caller)
				}
			}
		})
	}
}

// The factor by which what is used now counts more than what was used at the start. Before
// it is too large for a number, all begins anew.
func TestFairnessScale(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  float64
	}{{0, 1}, {5 * time.Second, math.E}, {50 * time.Second, math.Exp(10)}, {1150 * time.Second, math.Exp(230)}, {1155 * time.Second, 1}, {time.Hour, 1}} {
		f := newFairness()
		f.callers[1] = &caller{used: 1e9}
		f.fade(tt.after)
		f.fade(0) // a clock that was set back, and then goes on
		f.fade(tt.after)
		used := 1e9
		if tt.want == 1 {
			used *= math.Exp(-tt.after.Seconds() / 5)
		}
		if math.Abs(f.scale-tt.want) > 1e-9*tt.want || math.Abs(f.callers[1].used-used) > 1e-9*used+1e-290 {
			t.Errorf("after %v: got %v, and %v for a second, want %v and %v", tt.after, f.scale, f.callers[1].used, tt.want, used)
		}
	}
}

// Who is next, and who is refused to make room. A request is a letter for its caller and a
// digit for its priority; a caller in upper case has a slot.
func TestFairOrder(t *testing.T) {
	request := func(s string) *Waiter { return newWaiter(0, Request{Caller: uint64(s[0]), Priority: int(s[1] - '0')}) }
	for _, tt := range []struct {
		name     string
		queue    string // requests that wait
		gone     string // and some that no longer do, by their place
		slots    string // of callers
		next     string
		joins    string
		loser    string // "": the one that joins
		at       int    // its place in the queue
		reason   Reason
		none     bool // there are no priorities
		standing bool
		memory   bool // little of it
	}{
		{name: "who has fewest slots is next", queue: "a0 b0 b0 c0 c0 c0", slots: "A", next: "b0", joins: "a0", loser: "c0", at: 5, reason: ReasonQueue},
		{name: "that, once two have one", queue: "a0 b0 c0 c0 b0", slots: "CA", next: "b0", joins: "d0", loser: "c0", at: 3, reason: ReasonQueue},
		{name: "of one who has as many as the others, none are refused", queue: "a0 b0", next: "a0", joins: "b0", reason: ReasonQueue},
		{name: "who had most, of whom some have left, is not refused", queue: "a0 a0 a0 b0 b0", gone: "12", next: "a0", joins: "c0", loser: "b0", at: 4, reason: ReasonQueue},
		{name: "with two priorities, and of one all have left: the other counts on", queue: "a0 a1 b0", gone: "1", slots: "A", next: "b0", joins: "a1", loser: "a0", at: 0, reason: ReasonPriority},
		{name: "one of the lowest priority is refused, even if it came first", queue: "a2 a2 b0", next: "a2", joins: "b1", loser: "b0", at: 2, reason: ReasonPriority},
		{name: "also one's own, if its priority is lower", queue: "a0 a0 b0", next: "a0", joins: "a1", loser: "a0", at: 1, reason: ReasonPriority},
		{name: "not one of a higher priority", queue: "a1 a1 b2", next: "b2", joins: "c0", reason: ReasonQueue},
		{name: "while the queue stands, the oldest", queue: "a0 a0 b0", next: "a0", joins: "b0", loser: "a0", at: 0, reason: ReasonQueue, standing: true},
		{name: "as memory is short", queue: "a0 a0 b0", next: "a0", joins: "b0", loser: "a0", at: 1, reason: ReasonMemory, memory: true},
		{name: "without priorities, of the one who has most", queue: "a0 a0 b0", next: "a0", joins: "b0", loser: "a0", at: 1, reason: ReasonQueue, none: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := waitQueue{fair: newFairness(), priorities: newPriorities(3), standing: tt.standing, memory: tt.memory}
			if tt.none {
				q.priorities = nil
			}
			var all []*Waiter
			for _, s := range strings.Fields(tt.queue) {
				all = append(all, request(s))
				q.push(all[len(all)-1])
			}
			for _, place := range tt.gone {
				q.remove(all[place-'0'])
			}
			for _, of := range strings.ToLower(tt.slots) {
				q.fair.enter(uint64(of))
			}
			loser, reason := q.loserTo(request(tt.joins))
			var want *Waiter
			if tt.loser != "" {
				want = all[tt.at]
			}
			if loser != want || reason != tt.reason {
				t.Errorf("refuses %+v for %q, want %s for %q", loser, reason, tt.loser, tt.reason)
			}
			q.standing = false
			if got := q.pick(0); got.caller != uint64(tt.next[0]) || got.priority != int(tt.next[1]-'0') {
				t.Errorf("next is %c%d, want %s", rune(got.caller), got.priority, tt.next)
			}
		})
	}
}
