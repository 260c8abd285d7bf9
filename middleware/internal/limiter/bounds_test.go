package limiter

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// raced says that the race detector is on, which slows what is done a million times
// down tenfold.
var raced bool

// inUse is how much of the heap is in use, after everything else was collected.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A million callers, routes and calls that are told to come back take no more room
// than thousands.
func TestAMillionNames(t *testing.T) {
	const most = 4 << 20
	names := 1_000_000
	if raced {
		names = 100_000
	}
	for _, tt := range []struct {
		name string
		do   func(c *Controller, slot Slot, i int, now time.Duration) Slot // the slot that is held then
	}{
		{"callers that wait and leave", func(c *Controller, slot Slot, i int, now time.Duration) Slot {
			w, _, _ := c.Join(now, Request{Caller: uint64(i + 1)})
			c.Abandon(w, now, ReasonGone)
			return slot
		}},
		{"callers that are served", func(c *Controller, slot Slot, i int, now time.Duration) Slot {
			w, _, _ := c.Join(now, Request{Caller: uint64(i + 1)})
			c.Leave(slot)
			c.Dispatch(now)
			d := <-w.Done()
			c.Served(uint64(i+1), now, 10*time.Millisecond)
			return d.Slot
		}},
		{"routes", func(c *Controller, slot Slot, i int, now time.Duration) Slot {
			c.Learn(Completion{At: now, Took: 10 * time.Millisecond, InFlight: 1, Slot: Slot{Weight: 1}, Route: fmt.Sprint("/", i)})
			return slot
		}},
		{"calls that are told to come back", func(c *Controller, slot Slot, i int, now time.Duration) Slot {
			c.Reserve(now, Refusal{Call: uint64(i + 1), Spread: time.Second})
			return slot
		}},
	} {
		c := New(Config{Limit: 1, Queue: true, Fair: true, MaxWait: time.Second, MaxPatience: time.Hour, MaxRetryAfter: 10 * time.Second})
		slot, _, _ := c.Enter()
		before, now := inUse(), start
		for i := range names {
			now += time.Millisecond
			slot = tt.do(c, slot, i, now)
		}
		if after := inUse(); after > before+most {
			t.Errorf("%d %s: %d KB, want at most %d", names, tt.name, (after-before)>>10, most>>10)
		}
		runtime.KeepAlive(c)
	}
}

// A clock that jumps ahead harms nobody for long, and one that is set back breaks
// nothing: the machine was asleep, or the monotonic clock is not.
func TestClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, 24 * 365 * time.Hour, -time.Minute, -start + 1} {
		for _, loaded := range []bool{false, true} {
			c := New(Config{
				Min: 2, Max: 10_000, Queue: true, Fair: true, Priorities: 500, MaxWait: time.Second, MaxPatience: time.Hour, MaxRetryAfter: 10 * time.Second,
				Memory: func() (MemorySample, bool) { return MemorySample{Used: 1, Limit: 2}, true },
			})
			now := start
			serve := func() bool {
				now += 5 * time.Millisecond
				c.Watch(now)
				s, _, ok := c.Enter()
				if ok {
					c.Leave(s)
					c.Learn(Completion{At: now, Took: 5 * time.Millisecond, InFlight: 1, Slot: s})
				}
				return ok
			}
			for range 1000 {
				serve()
			}
			var held []Slot
			for loaded && len(held) < 20_000 {
				s, _, ok := c.Enter()
				if !ok {
					break
				}
				held = append(held, s)
			}
			var waiters []*Waiter
			for i := range 200 {
				if w, _, reason := c.Join(now, Request{Caller: uint64(i%3 + 1), Retry: i%2 == 0}); reason == ReasonNone {
					waiters = append(waiters, w)
				} else {
					c.Reserve(now, Refusal{Call: uint64(i + 1), Spread: time.Second})
				}
				now += time.Millisecond
			}
			now += jump
			for _, w := range waiters {
				if d := c.Abandon(w, now, ReasonNone); d.Reason == ReasonNone {
					c.Served(w.caller, now, jump)
					c.Leave(d.Slot)
				}
			}
			for _, s := range held {
				c.Leave(s)
			}
			c.Dispatch(now)
			if wait, again := c.Reserve(now, Refusal{Spread: time.Second}); !again || wait > 13*time.Second+max(0, -jump) {
				t.Errorf("jump %v: a client is told to come back in %v, %v", jump, wait, again)
			}
			refused := 0
			for range 2000 { // 10 s
				if !serve() {
					refused++
				}
			}
			if refused > 20 {
				t.Errorf("jump %v, loaded %v: %d of 2000 refused by an idle server, want 1 %% at most", jump, loaded, refused)
			}
		}
	}
}
