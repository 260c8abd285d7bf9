package limiter

// maxRoutes bounds how many routes have a baseline of their own. The patterns of
// a ServeMux are few, but a handler may set any.
const maxRoutes = 256

// routes are the latencies of the routes of a handler.
type routes struct {
	plain  route // of requests without a name, and of routes past maxRoutes
	byName map[string]*route
	known  float64 // the last mix, for a window without completions that tell
}

type route struct {
	baseline float64 // latency without load, ns; 0 if not known
	// Of this window:
	n    int     // completions whose client still waited
	took float64 // their latency in all, ns
	gone int     // other completions
}

func (rs *routes) of(name string) *route {
	r := &rs.plain
	if name != "" {
		if own, ok := rs.byName[name]; ok {
			r = own
		} else if len(rs.byName) < maxRoutes {
			if rs.byName == nil {
				rs.byName = make(map[string]*route)
			}
			r = new(route)
			rs.byName[name] = r
		}
	}
	return r
}

func (r *route) add(took float64, gone bool) {
	if gone {
		r.gone++
		return
	}
	r.n++
	r.took += took
}

// expected is the baseline, or what was seen if that is not known.
func (r *route) expected(took float64) float64 {
	if r.baseline == 0 {
		return took
	}
	return r.baseline
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

// mix returns the mean baseline of the requests of this window. A new route gets
// a baseline as if load had slowed it down as much as the other routes.
func (rs *routes) mix() float64 {
	var n, expected, took float64
	fresh := false
	rs.each(func(r *route) {
		if r.baseline == 0 {
			fresh = true
			return
		}
		n += float64(r.n)
		expected += float64(r.n) * r.baseline
		took += r.took
	})
	if fresh {
		inflation := 1.0
		if expected > 0 && took > expected {
			inflation = took / expected
		}
		rs.each(func(r *route) {
			if r.baseline == 0 {
				r.baseline = r.took / float64(r.n) / inflation
				n += float64(r.n)
				expected += float64(r.n) * r.baseline
			}
		})
	}
	if n == 0 {
		return rs.known
	}
	rs.known = expected / n
	return rs.known
}

// learn moves the baselines part of the way to the latencies of this window, less
// for routes with few requests in it.
func (rs *routes) learn(part float64) {
	rs.each(func(r *route) {
		weight := part * min(1, float64(r.n)/slowCount)
		r.baseline += (r.took/float64(r.n) - r.baseline) * weight
	})
}

// compare learns how the routes compare, in a window whose latencies were
// inflated by the given factor. It leaves the mix as it is.
func (rs *routes) compare(inflation float64) {
	rs.each(func(r *route) {
		weight := .1 * min(1, float64(r.n)/slowCount)
		r.baseline += (r.took/float64(r.n)/inflation - r.baseline) * weight
	})
}

func (rs *routes) rescale(ratio float64) {
	rs.plain.baseline *= ratio
	rs.known *= ratio
	for _, r := range rs.byName {
		r.baseline *= ratio
	}
}

// unaffected counts the completions of routes whose clients hardly ever left.
func (rs *routes) unaffected() (n int) {
	rs.each(func(r *route) {
		if float64(r.gone) < wasteful*float64(r.n+r.gone) {
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

func (r *route) clear() { r.n, r.took, r.gone = 0, 0, 0 }
