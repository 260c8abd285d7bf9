package limiter

import (
	"math"
	"sync"
	"time"
)

const (
	soonest    = 50 * time.Millisecond  // the least wait of a client that another replica may serve
	probeEvery = 100 * time.Millisecond // so often a client without a slot is told to come soon, to find out
	grace      = 500 * time.Millisecond // by which a client may come late and still count as back
	lookEvery  = 100 * time.Millisecond
	followed   = 256 // clients at a time
	enoughTold = 8   // clients that suffice for a conclusion
	fewBack    = .7  // if a smaller part of them comes back, the others are served elsewhere
)

// returnsMemory is after how long e times less counts of what was seen.
const returnsMemory = 2 * time.Second

// returns finds out whether the clients that this server refuses are served by other
// replicas. It follows some of the clients that were told to come back, by the ID of
// their call. If no other replica has room, they come back here: of several overloaded
// servers each sees as many clients come back as it told to. If another replica has
// room, most of them are served there.
//
// It follows only clients that say that they make several attempts. Others may not
// come back at all.
type returns struct {
	mu     sync.Mutex // guards what follows
	calls  [followed]followedCall
	told   float64 // calls that should have come back by now
	back   float64 // those that have
	looked time.Duration
	probed time.Duration
}

// A followedCall is one whose client was told to come back; a zero id is nobody's.
type followedCall struct {
	id   uint64        // its hash
	due  time.Duration // by then it should have come back
	back bool          // it has
}

// tell notes that a client was told to come back after some time.
func (r *returns) tell(id uint64, now, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(now)
	if c := &r.calls[id%followed]; c.id == 0 || c.id == id {
		*c = followedCall{id: id, due: now + 2*wait + grace}
	}
}

// come notes that a client has come back.
func (r *returns) come(id uint64, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(now)
	if c := &r.calls[id%followed]; c.id == id {
		c.back = true
	}
}

// elsewhere reports whether clients that are refused are served by others.
func (r *returns) elsewhere(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(now)
	return r.told >= enoughTold && r.back < fewBack*r.told
}

// probes reports, to one client in a while, whether it should find out.
func (r *returns) probes(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probed > 0 && now-r.probed < probeEvery {
		return false
	}
	r.probed = now
	return true
}

// look counts the calls that are due. The caller holds the lock.
func (r *returns) look(now time.Duration) {
	passed := now - r.looked
	if passed < lookEvery {
		return
	}
	r.looked = now
	fade := math.Exp(-float64(passed) / float64(returnsMemory))
	r.told, r.back = r.told*fade, r.back*fade
	for i := range r.calls {
		if c := &r.calls[i]; c.id != 0 && c.due < now {
			r.told++
			if c.back {
				r.back++
			}
			*c = followedCall{}
		}
	}
}
