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

	// A slot that is lent admits a request that the handler has to serve in addition to
	// the one that comes back, perhaps much later. So about as many slots are lent per
	// second as requests are served: a few more while the handler has room, and fewer
	// while it has none. At one moment at most a fourth of the limit is lent.
	lendMore  = 1.25
	lendLess  = .5
	lendIdle  = 400 // per second at least, while the handler hardly works
	lendLeast = 16  // at once, at least
)

// A Hold is the hold of a request on its slot. A request that waits for its own
// client, in a read of its body or a write of its response, does no work. Once the wait
// has lasted some time, its slot is lent to another request. When the wait is over, the
// request continues without a slot: it has begun, so it can no longer be refused. The
// zero Hold has no slot.
//
// One wait is tracked at a time. All methods are safe for concurrent use, except Take,
// which comes first.
type Hold struct {
	Slot Slot // that it took; it stays as it was

	// word has the state in its lowest two bits. The next bits say whether the Hold is
	// listed in Controller.awaits, whether the request works without the slot that it
	// has lent, and since when it waits.
	word  atomic.Int64
	place int32 // in awaits.holds; guarded by awaits.mu
	taken bool  // by Take; until then the word means nothing
}

// The states of a Hold that was taken. The first is 0, so that Take has no atomic write
// to make.
const (
	holdsBusy  = iota // a slot
	holdsWaits        // a slot, and the request waits for its client
	holdsLent         // the request has lent its slot
	holdsNone         // the request has given its slot back

	holdState  = 3
	holdListed = 4
	holdBack   = 8
	holdSince  = 4 // bits to the right of the time
)

// Take notes that the request has taken a slot.
func (h *Hold) Take(s Slot) {
	h.Slot, h.taken = s, true
}

// Slots is how many slots the request has: 1 or 0.
func (h *Hold) Slots() int {
	if h.taken && keepsSlot(h.word.Load()) {
		return 1
	}
	return 0
}

// keepsSlot reports whether a request whose Hold has the word has a slot.
func keepsSlot(word int64) bool { return word&holdState <= holdsWaits }

// awaits are the requests that have waited for their client, and have a slot or have
// lent it.
type awaits struct {
	n      atomic.Int32 // how many they are
	mu     sync.Mutex   // guards what follows, and the places of the holds
	holds  []*Hold
	looked time.Duration
	credit float64 // slots that may be lent now
}

// add lists a request in its first wait, unless it has given its slot back
// meanwhile. It changes the word under the lock, so that a request whose word says that
// it is listed is in the list.
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

// lend takes the slots of the requests that have waited for their client for lendAfter.
// inFlight counts all requests in the handler, including those that wait, and served is
// how many are served per second.
func (a *awaits) lend(now time.Duration, inFlight int, limit, served float64) (lent []Slot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.looked > 0 && now-a.looked < lendEvery {
		return nil
	}
	for _, h := range a.holds {
		if h.word.Load()&holdState == holdsWaits {
			inFlight--
		}
	}
	most := max(lendLeast, limit/4)
	perSecond := max(lendMore*served, most)
	switch working := float64(inFlight); {
	case working > limit:
		perSecond = max(lendLess*served, most)
	case working <= limit/4:
		perSecond = max(perSecond, lendIdle)
	}
	if a.looked == 0 {
		a.credit = most
	}
	a.credit = min(most, a.credit+perSecond*(now-a.looked).Seconds())
	a.looked = now
	for _, h := range a.holds {
		word := h.word.Load()
		if word&holdState != holdsWaits || now-time.Duration(word>>holdSince) < lendAfter {
			continue
		}
		if a.credit < 1 {
			break
		}
		if h.word.CompareAndSwap(word, word-holdsWaits+holdsLent) {
			lent = append(lent, h.Slot)
			a.credit--
		}
	}
	return lent
}

// Pause notes that the request begins to wait for its client. If it reports true,
// call Resume at the end of the wait. It reports false for a request without a
// slot, and if the request waits already.
func (c *Controller) Pause(h *Hold, now time.Duration) bool {
	word := h.word.Load()
	if !h.taken || word&holdState != holdsBusy {
		return false
	}
	waits := int64(now)<<holdSince | holdListed | holdsWaits
	if word&holdListed == 0 {
		return c.awaits.add(h, word, waits)
	}
	return h.word.CompareAndSwap(word, waits)
}

// Resume ends the wait of a request.
func (c *Controller) Resume(h *Hold) {
	for {
		word := h.word.Load()
		switch word & holdState {
		case holdsWaits:
			if h.word.CompareAndSwap(word, word-holdsWaits+holdsBusy) {
				return
			}
		case holdsLent:
			c.back.Add(1)
			if h.word.CompareAndSwap(word, word|holdBack) {
				return
			}
			c.back.Add(-1)
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
	inFlight := c.slots.taken() + int(c.back.Load())
	lent := c.awaits.lend(now, inFlight, float64(c.limit.Load()), float64(c.throughput.Load())/1000)
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
	if !h.taken {
		return slot, false, false
	}
	before := h.word.Swap(holdsNone)
	if before&holdListed != 0 {
		c.awaits.remove(h)
	}
	if before&holdBack != 0 {
		c.back.Add(-1)
	}
	return h.Slot, before&holdState != holdsNone, keepsSlot(before)
}
