package limiter_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// What becomes of the slots of two requests, step by step, at a limit of 2.
func TestPause(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		do    string
		at    time.Duration
		want  bool // what it reports
		slots int  // taken after it
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"nobody waits", []step{{"lend", 100 * ms, false, 2}}},
		{"a wait that lasts lends the slot", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 120 * ms, true, 1}, {"resume a", 0, true, 2}, {"drop a", 0, true, 1}}},
		{"once", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 120 * ms, true, 1}, {"lend", 140 * ms, false, 1}}},
		{"a short one does not", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 119 * ms, false, 2}}},
		{"looks cost too much to look all the time", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 119 * ms, false, 2}, {"lend", 120 * ms, false, 2}, {"lend", 124 * ms, true, 1}}},
		{"a wait that is over lends nothing", []step{
			{"pause a", 100 * ms, true, 2}, {"resume a", 0, true, 2}, {"lend", 120 * ms, false, 2}}},
		{"a new wait counts anew", []step{
			{"pause a", 100 * ms, true, 2}, {"resume a", 0, true, 2}, {"pause a", 115 * ms, true, 2},
			{"lend", 134 * ms, false, 2}, {"lend", 139 * ms, true, 1}}},
		{"of two, the one that waits", []step{
			{"pause a", 100 * ms, true, 2}, {"pause b", 100 * ms, true, 2}, {"resume a", 0, true, 2},
			{"lend", 120 * ms, true, 1}, {"drop a", 0, true, 0}, {"resume b", 0, true, 1}, {"drop b", 0, true, 0}}},
		{"the other way round", []step{
			{"pause a", 100 * ms, true, 2}, {"pause b", 100 * ms, true, 2}, {"drop a", 0, true, 1}, {"lend", 120 * ms, true, 0},
			{"resume b", 0, true, 1}, {"drop b", 0, true, 0}}},
		{"what was lent is not given back twice", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 120 * ms, true, 1}, {"drop a", 0, true, 1}, {"resume a", 0, true, 1}, {"drop b", 0, true, 0}}},
		{"a request that gave its slot back does not wait", []step{{"drop a", 0, true, 1}, {"pause a", 100 * ms, false, 1}, {"resume a", 0, true, 1}}},
		{"nor does it give back twice", []step{{"drop a", 0, true, 1}, {"drop a", 0, false, 1}}},
		{"one wait at a time", []step{
			{"pause a", 100 * ms, true, 2}, {"pause a", 110 * ms, false, 2}, {"lend", 120 * ms, true, 1}, {"pause a", 130 * ms, false, 1}}},
		{"the others go on, over the limit", []step{
			{"pause a", 100 * ms, true, 2}, {"lend", 120 * ms, true, 1}, {"enter", 0, true, 2}, {"resume a", 0, true, 3},
			{"enter", 0, false, 3}}},
		{"the queue gets it", []step{
			{"join", 90 * ms, false, 2}, {"pause a", 100 * ms, true, 2}, {"lend", 120 * ms, true, 2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := limiter.New(limiter.Config{Limit: 2, Queue: true, MaxWait: time.Second, MaxPatience: time.Second})
			holds := map[string]*limiter.Hold{"a": {}, "b": {}}
			for _, h := range holds {
				s, _, _ := c.Enter()
				h.Take(s)
			}
			for i, s := range tt.steps {
				got, h := true, holds[s.do[len(s.do)-1:]]
				switch s.do[:4] {
				case "paus":
					got = c.Pause(h, s.at)
				case "resu":
					c.Resume(h)
				case "drop":
					var slot bool
					var s limiter.Slot
					if s, got, slot = c.Drop(h); slot {
						c.Leave(s)
					}
				case "lend":
					got = c.Lend(s.at)
				case "ente":
					_, _, got = c.Enter()
				case "join":
					w, _, _ := c.Join(s.at, limiter.Request{})
					got = len(w.Done()) > 0
				}
				if got != s.want || c.InFlight() != s.slots {
					t.Errorf("step %d, %s at %v: %t with %d slots taken, want %t with %d", i, s.do, s.at, got, c.InFlight(), s.want, s.slots)
				}
			}
		})
	}
}

// A request that has lent its slot has none, by which its own refusal is judged.
func TestSlotsOfAHold(t *testing.T) {
	c, h := limiter.New(limiter.Config{Limit: 2, Queue: true}), &limiter.Hold{}
	want := func(what string, n int) {
		t.Helper()
		if got := h.Slots(); got != n {
			t.Errorf("%s: %d slots, want %d", what, got, n)
		}
	}
	want("before", 0)
	s, _, _ := c.Enter()
	h.Take(s)
	want("in the handler", 1)
	c.Pause(h, time.Second)
	want("in a wait", 1)
	c.Lend(2 * time.Second)
	want("lent", 0)
	c.Resume(h)
	want("after the wait", 0)
	if n := c.InFlight(); n != 1 {
		t.Errorf("%d in flight after the wait, want 1", n)
	}
	if _, held, slot := c.Drop(h); !held || slot {
		t.Errorf("dropped %t, %t; want a hold without a slot", held, slot)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d in flight at the end, want 0", n)
	}
	want("after the handler", 0)
}

// A refused request has no slot to lend or to give back.
func TestHoldThatWasNotTaken(t *testing.T) {
	c, h := limiter.New(limiter.Config{Limit: 2, Queue: true}), new(limiter.Hold)
	if c.Pause(h, time.Second) || c.Awaits() {
		t.Error("it waits for its client, want that only of a request with a slot")
	}
	c.Resume(h)
	if _, held, slot := c.Drop(h); held || slot {
		t.Errorf("dropped %t, %t; want neither a hold nor a slot", held, slot)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}

// Whatever goroutines wait, lend and give back at once: at the end no slot is taken
// and no request is listed.
func TestPauseUnderConcurrency(t *testing.T) {
	c := limiter.New(limiter.Config{Limit: 64, Queue: true, MaxWait: time.Second, MaxPatience: time.Second})
	var clock atomic.Int64
	tick := func() time.Duration { return time.Duration(clock.Add(int64(10 * time.Millisecond))) }
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 500 {
				s, _, ok := c.Enter()
				if !ok {
					continue
				}
				h := new(limiter.Hold)
				h.Take(s)
				var reader sync.WaitGroup
				reader.Go(func() { // which may outlast the handler
					for range 4 {
						if c.Pause(h, tick()) {
							c.Resume(h)
						}
					}
				})
				for range rand.IntN(4) {
					waits := c.Pause(h, tick())
					c.Lend(tick())
					if waits {
						c.Resume(h)
					}
				}
				if s, _, slot := c.Drop(h); slot {
					c.Leave(s)
				}
				reader.Wait()
			}
		})
	}
	wg.Wait()
	if n := c.InFlight(); n != 0 || c.Awaits() {
		t.Errorf("%d slots taken, requests listed: %t; want none", n, c.Awaits())
	}
}
