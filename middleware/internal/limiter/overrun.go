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
// counts callers in two tables, by different parts of their hash. The lower of the two
// counts is the nearer one, since another caller may be counted with it in one table.
//
// It is not safe for concurrent use.
type demand struct {
	began    time.Duration
	now, was [2][demandSize]uint32
	most     float64 // requests that one caller gets; 0: nothing is known
}

const demandSize = 512

// excess counts a request, and returns which share of its caller's requests is to be
// refused, if the given share of all requests is.
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

// level is the most that one caller gets if all callers together get a share of what they
// ask for. Callers who ask for less than the level get all of it, and what they leave
// belongs to the others. It is 0 if everybody gets all.
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
