package limiter

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lendAfter is how long a request waits for its client before its slot is lent.
	// Shorter waits are part of the work: a body that has arrived is read in no time,
	// and a slot that is lent for a moment admits a request too many.
	lendAfter = 20 * time.Millisecond
	lendEvery = 5 * time.Millisecond // at most
)

// A Hold is the hold of a request on its slot. A request that waits for its own
// client, in a read of its body or a write of its response, does no work. Its
// slot is lent to another request once that has lasted, and the request takes it
// back when the wait is over, even if that exceeds the limit: it has begun, so it
// cannot be refused any more. The zero Hold has no slot.
//
// One wait is tracked at a time. All methods are safe for concurrent use, except Take,
// which comes first.
type Hold struct {
	Slot Slot // that it took, or else why there was none; it stays as it was

	// word has the state in its lowest two bits, then whether the Hold is listed in
	// Controller.awaits, then whether it has lent the slot and taken another, then
	// since when the request waits.
	word  atomic.Int64
	place int32  // in awaits.holds; guarded by awaits.mu
	other uint32 // generation of the other slot; written before word, by the one that waits
}

// The states of a Hold.
const (
	holdsNone  = iota // no slot
	holdsBusy         // a slot
	holdsWaits        // a slot, and the request waits for its client
	holdsLent         // the request waits for its client, and has lent its slot

	holdState  = 3
	holdListed = 4
	holdOther  = 8
	holdSince  = 4 // bits to the right of the time
)

// Take notes that the request has taken a slot.
func (h *Hold) Take(s Slot) {
	h.Slot = s
	h.word.Store(holdsBusy)
}

// has is the slot that a request with such a word has, as far as it is given back.
func (h *Hold) has(word int64) Slot {
	if word&holdOther != 0 {
		return Slot{Generation: h.other}
	}
	return h.Slot
}

// Slots is how many slots the request has: 1 or 0.
func (h *Hold) Slots() int {
	if state := h.word.Load() & holdState; state == holdsBusy || state == holdsWaits {
		return 1
	}
	return 0
}

// awaits are the requests that have waited for their client, and have a slot or have
// lent it.
type awaits struct {
	n      atomic.Int32 // of them
	mu     sync.Mutex   // guards what follows, and the places of the holds
	holds  []*Hold
	looked time.Duration
}

// add lists a request in its first wait, unless it has given its slot back
// meanwhile. Under the lock, so that a request that is listed is also here.
func (a *awaits) add(h *Hold, from, to int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !h.word.CompareAndSwap(from, to) {
		return false
	}
	h.place = int32(len(a.holds))
	a.holds = append(a.holds, h)
	a.n.Store(int32(len(a.holds)))
	return true
}

func (a *awaits) remove(h *Hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.holds) - 1
	a.holds[h.place] = a.holds[last]
	a.holds[h.place].place = h.place
	a.holds[last] = nil
	a.holds = a.holds[:last]
	a.n.Store(int32(last))
}

// lend takes the slots of the requests that wait for their client since lendAfter.
func (a *awaits) lend(now time.Duration) (lent []Slot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.looked > 0 && now-a.looked < lendEvery {
		return nil
	}
	a.looked = now
	for _, h := range a.holds {
		word := h.word.Load()
		if word&holdState != holdsWaits || now-time.Duration(word>>holdSince) < lendAfter {
			continue
		}
		slot := h.has(word) // first, since the request may take another once it is lent
		if h.word.CompareAndSwap(word, word-holdsWaits+holdsLent) {
			lent = append(lent, slot)
		}
	}
	return lent
}

// Pause notes that the request begins to wait for its client. If it reports true,
// call Resume at the end of the wait. It reports false for a request without a
// slot, and if the request waits already.
func (c *Controller) Pause(h *Hold, now time.Duration) bool {
	word := h.word.Load()
	if word&holdState != holdsBusy {
		return false
	}
	waits := int64(now)<<holdSince | word&holdOther | holdListed | holdsWaits
	if word&holdListed == 0 {
		return c.awaits.add(h, word, waits)
	}
	return h.word.CompareAndSwap(word, waits)
}

// Resume ends the wait of a request. If its slot was lent, it takes one, which may
// exceed the limit.
func (c *Controller) Resume(h *Hold) {
	for {
		word := h.word.Load()
		switch word & holdState {
		case holdsWaits:
			if h.word.CompareAndSwap(word, word-holdsWaits+holdsBusy) {
				return
			}
		case holdsLent:
			h.other = c.slots.force() // first, since a caller that sees the request busy may take it away
			if h.word.CompareAndSwap(word, word-holdsLent|holdsBusy|holdOther) {
				return
			}
			c.giveBack(Slot{Generation: h.other})
		default:
			return // the request has given its slot back meanwhile
		}
	}
}

// Awaits reports whether there may be slots to lend.
func (c *Controller) Awaits() bool { return c.awaits.n.Load() > 0 }

// Lend hands the slots of requests that wait for their client to the requests in
// the queue, and reports whether there were any. Call it for a request that finds
// no room, and from time to time while it waits.
func (c *Controller) Lend(now time.Duration) bool {
	if !c.Awaits() {
		return false
	}
	lent := c.awaits.lend(now)
	if len(lent) == 0 {
		return false
	}
	for _, s := range lent {
		c.giveBack(s)
	}
	if c.waiting.Load() > 0 {
		c.Dispatch(now)
	}
	return true
}

// Drop ends the hold of a request. It reports whether that was not done before, and
// whether the request had a slot, which the caller has to give back by Leave. A nil
// Controller will do if the request has never waited.
func (c *Controller) Drop(h *Hold) (slot Slot, held, has bool) {
	before := h.word.Swap(holdsNone)
	if before&holdListed != 0 {
		c.awaits.remove(h)
	}
	state := before & holdState
	if state == holdsBusy || state == holdsWaits {
		return h.has(before), true, true
	}
	return Slot{}, state != holdsNone, false
}
