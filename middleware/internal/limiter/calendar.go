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
	doubt      = 5                // times fewer slots are given while the handler answers nobody
)

// calendar tells clients that were refused when to come back. Each gets the next
// free slot. Slots are as far apart as the handler can serve them in addition to
// its other load, so the clients come back spread out, at a rate that can be
// served. It is the generic cell rate algorithm of ITU-T I.371: one number, no
// timers.
//
// While the handler answers nobody, nobody knows when it can serve anybody, and clients
// that come back in vain cost attempts. So clients that say how long their call lasts get
// fewer slots, and most of them are told that it is over before there is room.
//
// A calendar knows the slots of one server. Clients that are served elsewhere
// meanwhile, by another replica, do not need them: see returns.
type calendar struct {
	longest    time.Duration // wait for a slot that a client is told
	next       atomic.Int64  // the last slot given away; 0: none yet
	share      atomic.Int64  // 0 means startShare
	throughput atomic.Int64  // of the handler, requests per 1000 s; 0 if not known
	silent     atomic.Bool   // the handler answers nobody
	latest     atomic.Int64  // when the last client that was told comes back; 0: no client was told
	returns    returns
}

// A Refusal is a refused request, as far as it matters for when to come back.
type Refusal struct {
	Left    time.Duration // of the call, if HasLeft; not that of the attempt
	HasLeft bool
	Call    uint64        // hash of the ID of the call, if its client says that it may come back; else 0
	Spread  time.Duration // a random time of 1 to 3 s, so that not all come back at one moment
}

// Reserve returns how long the client of a refused request should wait before it
// comes back. It returns false if the call is over before that, so that it cannot.
func (c *calendar) Reserve(now time.Duration, r Refusal) (wait time.Duration, again bool) {
	soon := soonest + r.Spread/20
	switch {
	case r.Call != 0 && c.returns.elsewhere(now):
		wait = soon
	default:
		if wait = c.slot(now, &r); r.late(wait) && r.Call != 0 && c.returns.probes(now) {
			wait = soon
		}
	}
	if r.late(wait) {
		return wait, false
	}
	if r.Call != 0 {
		c.returns.tell(r.Call, now, wait)
	}
	c.latest.Store(max(c.latest.Load(), int64(now+wait)))
	return wait, true
}

// late reports whether the call is over by then.
func (r *Refusal) late(wait time.Duration) bool { return r.HasLeft && wait >= r.Left }

// slot returns the wait for the next slot, and takes the slot if the client can come by
// then. If the wait is not known, it returns a random time, and if it is too long, the
// longest and a random time.
func (c *calendar) slot(now time.Duration, r *Refusal) time.Duration {
	for {
		last, share := time.Duration(c.next.Load()), c.share.Load()
		if last+forgotten < now && share != 0 {
			c.share.CompareAndSwap(share, 0)
			continue
		}
		rate := float64(c.throughput.Load()) / 1000 * float64(orStart(share)) / whole
		if c.silent.Load() && r.HasLeft {
			rate /= doubt
		}
		if rate <= 0 {
			return r.Spread
		}
		slot := max(last, now) + max(1, time.Duration(float64(time.Second)/rate))
		switch {
		case slot-now > c.longest:
			return c.longest + r.Spread
		case r.late(slot - now):
			return slot - now
		case c.next.CompareAndSwap(int64(last), int64(slot)):
			return slot - now
		}
	}
}

func orStart(share int64) int64 {
	if share > 0 {
		return share
	}
	return startShare
}

// owed is the time until the last slot that was given away.
func (c *calendar) owed(now time.Duration) time.Duration {
	return max(0, time.Duration(c.next.Load())-now)
}

// Reserved reports whether any client was told to come back.
func (c *calendar) Reserved() bool { return c.latest.Load() != 0 }

// Expects reports whether clients that were told to come back may be doing so.
func (c *calendar) Expects(now time.Duration) bool {
	latest := c.latest.Load()
	if time.Duration(latest)+forgotten > now {
		return latest != 0
	}
	c.latest.CompareAndSwap(latest, 0) // so that no further request reads the clock for it
	return false
}

// CameBack counts a request that is not its client's first attempt. Its call is that of
// a Refusal.
func (c *calendar) CameBack(call uint64, now time.Duration, admitted bool) {
	if call != 0 {
		c.returns.come(call, now)
	}
	for {
		old := c.share.Load()
		share := orStart(old)
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
