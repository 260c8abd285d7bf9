package middleware

import (
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// The share of the throughput that is given away to clients who come back, in
// thousandths of a percent. It follows what becomes of them.
const (
	whole      = 100_000
	startShare = whole / 2
	leastShare = whole / 20
	shareFound = whole * 3 / 1000 // more for each that was admitted
	forgotten  = 10 * time.Second // after which an empty calendar starts anew
)

// calendar tells clients that were refused when to come back: each gets the
// next free slot, and slots are as far apart as the handler can serve them
// beside its other load. So they come back spread out and at a rate that can be
// served, and are not asked to come back at all when the wait for a slot would
// be too long. It is the generic cell rate algorithm of ITU-T I.371: one number,
// no timers.
type calendar struct {
	longest    time.Duration // wait that is asked of anybody
	next       atomic.Int64  // the last slot given away, ns since the epoch
	share      atomic.Int64  // 0 means startShare
	throughput atomic.Int64  // of the handler, requests per 1000 s; 0 if not known
}

// reserve returns in what time to come back, and DoNotRetry if there is no
// point in it.
func (c *calendar) reserve(now time.Duration) (time.Duration, headers.Verdict) {
	rate := float64(c.throughput.Load()) / 1000 * float64(c.shareNow()) / whole
	if rate <= 0 {
		return spread(), headers.Retry
	}
	step := max(1, time.Duration(float64(time.Second)/rate))
	for {
		last := time.Duration(c.next.Load())
		if last+forgotten < now {
			c.share.Store(0)
		}
		slot := max(last, now) + step
		if slot-now > c.longest {
			return c.longest + spread(), headers.DoNotRetry
		}
		if c.next.CompareAndSwap(int64(last), int64(slot)) {
			return slot - now, headers.Retry
		}
	}
}

func (c *calendar) shareNow() int64 {
	if s := c.share.Load(); s > 0 {
		return s
	}
	return startShare
}

// open reports whether clients may be coming back.
func (c *calendar) open(now time.Duration) bool {
	last := c.next.Load()
	return last > 0 && time.Duration(last)+forgotten > now
}

// cameBack is told of each request that is not its client's first attempt.
func (c *calendar) cameBack(admitted bool) {
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
