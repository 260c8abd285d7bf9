package middleware

// maxRoutes bounds how many routes have a base of their own. Patterns come
// from a ServeMux, of which there are few, but a handler may write anything.
const maxRoutes = 256

// routes are the latencies of the routes of a handler. The zero value has
// none.
type routes struct {
	plain  route // of requests without a pattern, and those past maxRoutes
	byName map[string]*route
	known  float64 // last mix, for a window of which nothing is known
}

type route struct {
	base float64 // latency without load, ns; 0 if not known
	// Of this window:
	n       int     // completions that somebody waited for
	took    float64 // their latency in all, ns
	dropped int     // other completions
}

func (rs *routes) of(pattern string) *route {
	r := &rs.plain
	if pattern != "" {
		if own, ok := rs.byName[pattern]; ok {
			r = own
		} else if len(rs.byName) < maxRoutes {
			if rs.byName == nil {
				rs.byName = make(map[string]*route)
			}
			r = new(route)
			rs.byName[pattern] = r
		}
	}
	return r
}

func (r *route) add(took float64, dropped bool) {
	if dropped {
		r.dropped++
		return
	}
	r.n++
	r.took += took
}

// expected is the base, or what was seen where that is not known.
func (r *route) expected(took float64) float64 {
	if r.base == 0 {
		return took
	}
	return r.base
}

// each calls f for the routes of this window.
func (rs *routes) each(f func(*route)) {
	if rs.plain.n > 0 {
		f(&rs.plain)
	}
	for _, r := range rs.byName {
		if r.n > 0 {
			f(r)
		}
	}
}

// mix returns the base of the requests of this window. A route that is new
// gets one as if its requests had suffered from load as the others did.
func (rs *routes) mix() float64 {
	var n, expected, took float64
	fresh := false
	rs.each(func(r *route) {
		if r.base == 0 {
			fresh = true
			return
		}
		n += float64(r.n)
		expected += float64(r.n) * r.base
		took += r.took
	})
	if fresh {
		inflation := 1.0
		if expected > 0 && took > expected {
			inflation = took / expected
		}
		rs.each(func(r *route) {
			if r.base == 0 {
				r.base = r.took / float64(r.n) / inflation
				n += float64(r.n)
				expected += float64(r.n) * r.base
			}
		})
	}
	if n == 0 {
		return rs.known
	}
	rs.known = expected / n
	return rs.known
}

// learn moves the bases by a part of their distance to what the window shows,
// less for routes of which it shows little.
func (rs *routes) learn(part float64) {
	rs.each(func(r *route) {
		weight := part * min(1, float64(r.n)/slowCount)
		r.base += (r.took/float64(r.n) - r.base) * weight
	})
}

// compare learns how the routes compare in a window in which latencies were
// inflated by the given factor. It leaves the mix as it is.
func (rs *routes) compare(inflation float64) {
	rs.each(func(r *route) {
		weight := .1 * min(1, float64(r.n)/slowCount)
		r.base += (r.took/float64(r.n)/inflation - r.base) * weight
	})
}

func (rs *routes) rescale(ratio float64) {
	rs.plain.base *= ratio
	rs.known *= ratio
	for _, r := range rs.byName {
		r.base *= ratio
	}
}

// unaffected counts the completions of routes of which hardly any was for a
// client that had gone.
func (rs *routes) unaffected() (n int) {
	rs.each(func(r *route) {
		if float64(r.dropped) < wasteful*float64(r.n+r.dropped) {
			n += r.n
		}
	})
	return n
}

func (rs *routes) clear() {
	rs.plain.clear()
	for _, r := range rs.byName {
		r.clear()
	}
}

func (r *route) clear() { r.n, r.took, r.dropped = 0, 0, 0 }
