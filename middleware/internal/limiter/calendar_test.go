package limiter

import (
	"testing"
	"time"
)

// The rules of the calendar. The handler completes 100 requests a second, and half
// of that, one each 20 ms, is given to clients that come back.
func TestCalendarRules(t *testing.T) {
	const spread = 1500 * time.Millisecond
	ms := time.Millisecond
	for _, tt := range []struct {
		name       string
		throughput int64 // per 1000 s
		before     func(c *calendar)
		wait       time.Duration
		again      bool
	}{
		{"the throughput is not known", 0, func(c *calendar) {}, spread, true},
		{"the first slot", 100_000, func(c *calendar) {}, 20 * ms, true},
		{"the next slot", 100_000, func(c *calendar) { c.Reserve(start, spread) }, 40 * ms, true},
		{"all slots until then have passed", 100_000, func(c *calendar) { c.Reserve(start-time.Second, spread) }, 20 * ms, true},
		{"the last slot within the longest wait", 100_000, func(c *calendar) {
			for range 499 {
				c.Reserve(start, spread)
			}
		}, 10 * time.Second, true},
		{"the slot after that", 100_000, func(c *calendar) {
			for range 500 {
				c.Reserve(start, spread)
			}
		}, 10*time.Second + spread, false},
		{"one that came back was refused: a smaller share", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, spread)
			c.CameBack(false)
		}, time.Second / 100 * whole / (startShare * 97 / 100), true},
		{"one that came back was admitted: a greater share", 100_000, func(c *calendar) {
			c.Reserve(start-time.Second, spread)
			c.CameBack(true)
		}, time.Second / 100 * whole / (startShare + shareFound), true},
		{"the share is forgotten after 10 s without a slot", 100_000, func(c *calendar) {
			c.Reserve(start-11*time.Second, spread)
			c.share.Store(leastShare)
			c.Reserve(start-500*ms, spread)
		}, 20 * ms, true},
	} {
		c := calendar{longest: 10 * time.Second}
		c.throughput.Store(tt.throughput)
		tt.before(&c)
		if wait, again := c.Reserve(start, spread); (wait-tt.wait).Abs() > time.Microsecond || again != tt.again {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, wait, again, tt.wait, tt.again)
		}
	}
}
