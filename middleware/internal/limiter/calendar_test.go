package limiter

import (
	"math"
	"testing"
	"time"
)

// The rules of the calendar. The handler completes 100 requests a second, and half
// of that, one each 20 ms, is given to clients that come back.
func TestCalendarRules(t *testing.T) {
	const spread = 1500 * time.Millisecond
	ms := time.Millisecond
	silent := Refusal{Spread: spread}
	has := func(left time.Duration) Refusal { return Refusal{Left: left, HasLeft: true, Spread: spread} }
	fill := func(n int) func(*calendar) {
		return func(c *calendar) {
			for range n {
				c.Reserve(start, silent)
			}
		}
	}
	for _, tt := range []struct {
		name       string
		throughput int64 // per 1000 s
		before     func(c *calendar)
		refused    Refusal
		wait       time.Duration
		again      bool
	}{
		{"the throughput is not known", 0, func(c *calendar) {}, silent, spread, true},
		{"the first slot", 100_000, func(c *calendar) {}, silent, 20 * ms, true},
		{"the next slot", 100_000, func(c *calendar) { c.Reserve(start, silent) }, silent, 40 * ms, true},
		{"all slots until then have passed", 100_000, func(c *calendar) { c.Reserve(start-time.Second, silent) }, silent, 20 * ms, true},
		{"the last slot within the longest wait", 100_000, func(c *calendar) {
			for range 499 {
				c.Reserve(start, silent)
			}
		}, silent, 10 * time.Second, true},
		{"the slot after that", 100_000, func(c *calendar) {
			for range 500 {
				c.Reserve(start, silent)
			}
		}, silent, 10*time.Second + spread, true},
		{"that slot, with a call that lasts", 100_000, fill(500), has(time.Minute), 10*time.Second + spread, true},
		{"that slot, with a call that does not", 100_000, fill(500), has(11 * time.Second), 10*time.Second + spread, false},
		{"a call that lasts until the slot", 100_000, fill(9), has(201 * ms), 200 * ms, true},
		{"a call that is over at the slot", 100_000, fill(9), has(200 * ms), 200 * ms, false},
		{"a call that is over", 100_000, fill(0), has(-ms), 20 * ms, false},
		{"no slot is taken by a call that is over", 100_000, func(c *calendar) {
			for range 9 {
				c.Reserve(start, has(5*ms))
			}
		}, silent, 20 * ms, true},
		{"the handler answers nobody: a fifth of the slots", 100_000, func(c *calendar) { c.silent.Store(true) }, has(time.Second), 100 * ms, true},
		{"that, with a call that may last for ever", 100_000, func(c *calendar) { c.silent.Store(true) }, silent, 20 * ms, true},
		{"one that came back was refused: a smaller share", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, silent)
			c.CameBack(0, start-time.Second, false)
		}, silent, time.Second / 100 * whole / (startShare * 97 / 100), true},
		{"one that came back was admitted: a greater share", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, silent)
			c.CameBack(0, start-time.Second, true)
		}, silent, time.Second / 100 * 100_000 / 50_300, true},
		{"a share of long ago does not count for this slot", 100_000, func(c *calendar) {
			c.Reserve(start-11*time.Second, silent)
			c.share.Store(leastShare)
		}, silent, 20 * ms, true},
		{"the share is forgotten after 10 s without a slot", 100_000, func(c *calendar) {
			c.Reserve(start-11*time.Second, silent)
			c.share.Store(leastShare)
			c.Reserve(start-500*ms, silent)
		}, silent, 20 * ms, true},
		{"one whose client may come back: the slot, like any other", 100_000, func(*calendar) {}, Refusal{Call: 7, Spread: spread}, 20 * ms, true},
		{"however many were admitted, no more than all that is served", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, silent)
			c.share.Store(whole)
			c.CameBack(0, start-time.Second, true)
		}, silent, 10 * ms, true},
		{"however many were refused, a twentieth of it", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, silent)
			c.share.Store(whole / 20)
			c.CameBack(0, start-time.Second, false)
		}, silent, 200 * ms, true},
		{"a share counts for just 10 s after the last slot", 100_000, func(c *calendar) {
			c.next.Store(int64(start - 10*time.Second))
			c.share.Store(leastShare)
		}, silent, 200 * ms, true},
		{"and no longer", 100_000, func(c *calendar) {
			c.next.Store(int64(start - 10*time.Second - 1))
			c.share.Store(leastShare)
		}, silent, 20 * ms, true},
	} {
		c := calendar{longest: 10 * time.Second}
		c.throughput.Store(tt.throughput)
		tt.before(&c)
		if wait, again := c.Reserve(start, tt.refused); (wait-tt.wait).Abs() > time.Microsecond || again != tt.again {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, wait, again, tt.wait, tt.again)
		}
	}
}

// Requests need the clock as long as clients may come back, and no longer.
// For how long those come back that were told to, and that the limit is told so.
func TestCalendarOwed(t *testing.T) {
	r := &room{Controller: New(Config{Min: 2, Max: 100, Queue: true, MaxWait: time.Second, MaxRetryAfter: 10 * time.Second})}
	r.throughput.Store(100_000)
	for range 100 {
		r.Reserve(start, Refusal{Spread: time.Second})
	}
	for _, tt := range []struct{ after, want time.Duration }{{0, 2 * time.Second}, {500 * time.Millisecond, 1500 * time.Millisecond}, {3 * time.Second, 0}} {
		r.Learn(Completion{At: start + tt.after, Took: time.Millisecond, InFlight: 1, Slot: Slot{Weight: 1}})
		if got := r.adaptive.owed; math.Abs(got-tt.want.Seconds()) > 1e-6 {
			t.Errorf("after %v: slots for %v s are given away, want for %v", tt.after, got, tt.want)
		}
	}
}

func TestCalendarExpects(t *testing.T) {
	var c calendar
	if c.Reserved() || c.Expects(start) {
		t.Error("expects somebody before anybody was told to come back")
	}
	if c.Expects(time.Second) {
		t.Error("expects somebody as the clock starts, before anybody was told to come back")
	}
	var later calendar
	later.latest.Store(int64(start + time.Hour))
	if later.Reserve(start, Refusal{Spread: time.Second}); !later.Expects(start + time.Hour) {
		t.Error("expects nobody who was told to come back after the one that was told last")
	}
	wait, _ := c.Reserve(start, Refusal{Spread: time.Second})
	for _, tt := range []struct {
		after             time.Duration
		expects, reserved bool
	}{
		{0, true, true},
		{wait + forgotten - 1, true, true},
		{wait + forgotten, false, false},
	} {
		if got := c.Expects(start + tt.after); got != tt.expects {
			t.Errorf("expects somebody after %v: %v, want %v", tt.after, got, tt.expects)
		}
		if got := c.Reserved(); got != tt.reserved {
			t.Errorf("reserved after %v: %v, want %v", tt.after, got, tt.reserved)
		}
	}
}
