package limiter_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// A Controller looks at the memory at most every 10 ms, lowers its limit, and says why
// it refuses; with memory again, requests that wait are let in.
func TestMemoryIsAReason(t *testing.T) {
	sample, looks := limiter.MemorySample{Used: 50, Limit: 100}, 0
	known := true
	c := limiter.New(limiter.Config{
		Min: 1, Max: 50, Queue: true, MaxWait: time.Second, MaxPatience: time.Minute,
		Memory: func() (limiter.MemorySample, bool) { looks++; sample.Collections++; return sample, known },
	})
	now := time.Second
	look := func() {
		now += 10 * time.Millisecond
		c.Watch(now)
	}
	before := c.Limit()
	look()
	c.Watch(now + 9*time.Millisecond)
	if looks != 1 || c.Limit() != before {
		t.Errorf("%d looks, limit %d; want 1 and %d", looks, c.Limit(), before)
	}
	for range 10 {
		c.Enter()
	}
	sample.Used = 95
	look()
	if got := c.Limit(); got != 8 {
		t.Errorf("limit %d with 10 in flight, want 8", got)
	}
	patient := limiter.Request{Patience: time.Minute, HasPatience: true}
	w, _, _ := c.Join(now, patient)
	if d := c.Abandon(w, now, limiter.ReasonNone); d.Reason != limiter.ReasonMemory {
		t.Errorf("refused for %q, want memory", d.Reason)
	}
	w, _, _ = c.Join(now, patient)
	known = false
	sample.Used = 10
	look()
	if got := c.Limit(); got != 8 {
		t.Errorf("limit %d while nothing is known, want 8", got)
	}
	known = true
	for range 10 {
		look()
	}
	if d := len(w.Done()); d != 1 || c.Limit() != before {
		t.Errorf("%d let in with a limit of %d, want the one that waits and %d", d, c.Limit(), before)
	}
	for c.InFlight() < before {
		c.Enter()
	}
	w, _, _ = c.Join(now, patient)
	if d := c.Abandon(w, now, limiter.ReasonNone); d.Reason != limiter.ReasonQueue {
		t.Errorf("refused for %q, want queue", d.Reason)
	}
}
