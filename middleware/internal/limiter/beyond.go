package limiter

import "sync/atomic"

// beyond counts the requests that were let in beyond the limit, since their route
// is as quick as ever: they do not wait in the line that the limit keeps short.
type beyond struct {
	all    atomic.Int32
	routes [maxRoutes + 1]atomic.Int32 // by number
}

// admit lets in a request of a named route, if that is as quick as ever. Where all
// stands still, that is not known before long, so only twice as many at a time are
// let in as there usually are, of the route and of all, and one more.
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
