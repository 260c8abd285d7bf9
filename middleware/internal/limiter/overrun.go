package limiter

import "time"

// Overruns reports whether goroutines wait so long for a processor that a share
// of the requests is refused: see RefuseOverrun.
func (c *Controller) Overruns() bool { return c.overrun.Load() > 0 }

// RefuseOverrun reports whether a request is refused because the processors are
// far behind: a retry always, any other if chance, from 0 to 1, is below the share.
func (c *Controller) RefuseOverrun(now time.Duration, retry bool, chance float64) bool {
	share := c.overrun.Load()
	if share == 0 {
		return false
	}
	refused := retry || uint32(chance*1000) < share
	c.mu.Lock()
	defer c.mu.Unlock()
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
