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
// one more are admitted at a time, of the route and of all such routes together.
func (b *beyond) admit(rs *routes, name string, spare int) *route {
	r := rs.byName[name]
	switch {
	case r == nil || r.count < firstCount || r.slow() || spare <= 0, rs.line && rs.inLine(r):
		return nil
	case float64(b.routes[r.number].Load()) > 1+2*r.load(), float64(b.all.Load()) > 1+2*rs.load:
		return nil
	}
	b.routes[r.number].Add(1)
	b.all.Add(1)
	return r
}

func (b *beyond) leave(route int16) {
	b.routes[route].Add(-1)
	b.all.Add(-1)
}
