package limiter

import (
	"sync/atomic"
	"time"
)

// The share of the throughput that is given to clients that come back, in
// thousandths of a percent. It rises with each of them that is admitted and falls
// with each that is refused.
const (
	whole      = 100_000
	startShare = whole / 2
	leastShare = whole / 20
	shareFound = whole * 3 / 1000 // more for each that was admitted
	forgotten  = 10 * time.Second // after which an empty calendar starts anew
)

// calendar tells clients that were refused when to come back. Each gets the next
// free slot. Slots are as far apart as the handler can serve them in addition to
// its other load, so the clients come back spread out, at a rate that can be
// served. If the wait would be too long, they are told not to come back. It is
// the generic cell rate algorithm of ITU-T I.371: one number, no timers.
type calendar struct {
	longest    time.Duration // wait that a client is told
	next       atomic.Int64  // the last slot given away; 0: none yet
	share      atomic.Int64  // 0 means startShare
	throughput atomic.Int64  // of the handler, requests per 1000 s; 0 if not known
}

// Reserve returns how long a client that was refused should wait before it comes
// back, and false if it should not. Where the wait is not known, or too long, the
// spread, a random time, keeps clients from coming back at the same moment.
func (c *calendar) Reserve(now, spread time.Duration) (wait time.Duration, again bool) {
	rate := float64(c.throughput.Load()) / 1000 * float64(c.shareNow()) / whole
	if rate <= 0 {
		return spread, true
	}
	step := max(1, time.Duration(float64(time.Second)/rate))
	for {
		last := time.Duration(c.next.Load())
		if last+forgotten < now {
			c.share.Store(0)
		}
		slot := max(last, now) + step
		if slot-now > c.longest {
			return c.longest + spread, false
		}
		if c.next.CompareAndSwap(int64(last), int64(slot)) {
			return slot - now, true
		}
	}
}

func (c *calendar) shareNow() int64 {
	if s := c.share.Load(); s > 0 {
		return s
	}
	return startShare
}

// Reserved reports whether any slot was given away.
func (c *calendar) Reserved() bool { return c.next.Load() != 0 }

// Expects reports whether clients that were told to come back may be doing so.
func (c *calendar) Expects(now time.Duration) bool {
	last := c.next.Load()
	return time.Duration(last)+forgotten > now
}

// CameBack counts a request that is not its client's first attempt.
func (c *calendar) CameBack(admitted bool) {
	for {
		old := c.share.Load()
		share := c.shareNow()
		if admitted {
			share = min(share+shareFound, whole)
		} else {
			share = max(share-share*3/100, leastShare)
		}
		if c.share.CompareAndSwap(old, share) {
			return
		}
	}
}
