package limiter

import (
	"slices"
	"time"
)

// Overruns reports whether goroutines wait so long for a processor that a share
// of the requests is refused: see RefuseOverrun.
func (c *Controller) Overruns() bool { return c.overrun.Load() > 0 }

// RefuseOverrun reports whether a request is refused because the processors are
// far behind: a retry always, any other if chance, from 0 to 1, is below the share.
// With Config.Fair it is the callers who ask for the most that are refused, down to
// what the others ask for. Caller is the hash of whose request it is.
func (c *Controller) RefuseOverrun(now time.Duration, retry bool, chance float64, caller uint64) bool {
	share := c.overrun.Load()
	if share == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	refused := retry || uint32(chance*1000) < share
	if !retry && c.demand != nil {
		refused = chance < c.demand.excess(now, caller, float64(share)/1000)
	}
	// Completions may have stopped, which would otherwise prompt it.
	if a := &c.adaptive; a.sched.due(now) {
		a.sched.look(now, a.limit, float64(c.slots.taken()), a.knee())
		c.publishOverrun()
	}
	if refused {
		c.refused(1, now)
	}
	return refused
}

func (c *Controller) publishOverrun() {
	if s := c.adaptive.sched; s != nil {
		c.overrun.Store(uint32(s.refuse * 1000))
	}
}

// demand is what each caller asks for, from one look at the scheduler to the next. It
// counts callers by hash, in two ways, of which the lower count is the nearer, since
// another caller may be counted with it in one of them.
//
// It is not safe for concurrent use.
type demand struct {
	began    time.Duration
	now, was [2][demandSize]uint32
	most     float64 // of what was asked, that one caller gets; 0: nothing is known
}

const demandSize = 512

// excess counts a request, and returns the share of the requests of its caller that is
// to be refused, so that a share of all is.
func (d *demand) excess(now time.Duration, caller uint64, share float64) float64 {
	if passed := now - d.began; passed >= schedEvery {
		d.was = d.now
		if passed >= 2*schedEvery {
			d.was = [2][demandSize]uint32{}
		}
		d.now, d.began = [2][demandSize]uint32{}, now
		d.most = level(d.was[0][:], 1-share)
	}
	i, j := caller%demandSize, caller/demandSize%demandSize
	d.now[0][i]++
	d.now[1][j]++
	if d.most == 0 {
		return share
	}
	asks := max(min(d.was[0][i], d.was[1][j]), min(d.now[0][i], d.now[1][j]))
	return 1 - min(1, d.most/float64(asks))
}

// level is how much one of those who ask for so much gets, where all together get a
// share of it: who asks for less gets all, and what they leave belongs to the others.
func level(asks []uint32, share float64) float64 {
	asks = slices.Sorted(slices.Values(asks))
	left := 0.0
	for _, n := range asks {
		left += share * float64(n)
	}
	for i, n := range asks {
		if each := left / float64(len(asks)-i); float64(n) > each {
			return each
		}
		left -= float64(n)
	}
	return 0
}
