package limiter

import "sync/atomic"

// beyond counts the requests that were admitted beyond the limit because their route
// is as quick as ever: they do not wait in the line that the limit keeps short.
type beyond struct {
	all    atomic.Int32
	routes [maxRoutes + 1]atomic.Int32 // by number
}

// admit admits a request of a named route that is as quick as ever. If the whole handler
// stands still, that shows only after some time. So at most twice as many as usual and
// one more are admitted at a time, of the route and of all such routes together. Those of
// routes that have come to hang do not count for the others.
func (b *beyond) admit(rs *routes, name string, spare int) *route {
	r := rs.byName[name]
	switch {
	case r == nil || r.count < firstCount || r.slow() || spare <= 0, rs.line && rs.inLine(r):
		return nil
	case b.full(&b.routes[r.number], r.load(), 0):
		return nil
	case b.full(&b.all, rs.load, 0) && b.full(&b.all, rs.load, b.hung(rs)): // the walk only if it matters
		return nil
	}
	if b.routes[r.number].Add(1) == 1 {
		r.quiet = 0
	}
	b.all.Add(1)
	return r
}

// full reports whether a count, without those that hang, is more than twice the usual and one.
func (*beyond) full(count *atomic.Int32, usual float64, hung int32) bool {
	return float64(count.Load()-hung) > 1+2*usual
}

// hung counts the requests of routes that have come to hang.
func (b *beyond) hung(rs *routes) (n int32) {
	for _, r := range rs.byName {
		if r.hangs() {
			n += b.routes[r.number].Load()
		}
	}
	return n
}

func (b *beyond) leave(route int16) {
	b.routes[route].Add(-1)
	b.all.Add(-1)
}
