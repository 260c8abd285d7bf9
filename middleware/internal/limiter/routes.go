package limiter

import (
	"math"
	"time"
)

// maxRoutes bounds how many routes are known by name. The patterns of a ServeMux
// are few, but a handler may set any.
const maxRoutes = 256

const (
	memory = 32  // completions that tell how quick a route is lately
	slowed = 1.5 // times the latency without a line, from which on there may be one
)

// routes are the latencies of the routes of a handler that have a name.
type routes struct {
	byName map[string]*route
	line   bool    // there is one in the handler
	slow   float64 // of the routes together, see route.slowly
	load   float64 // requests that quick routes usually have in the handler
}

// A route has a usual latency. It is slow while its requests take longer than that.
type route struct {
	number int16   // from 1
	count  int     // completions, up to the first few
	usual  float64 // geometric mean of the latencies while nothing is late, as a logarithm
	mean   float64 // their mean, s
	lately float64 // geometric mean of the last few, as a logarithm
	flow   float64 // completions per second
	slowly float64 // 1 while it is slow, then fading over 2 s, but not while apart and in a line
	apart  bool    // others were quick when it was last slow
	seen   bool    // requests were completed in the last window
	quiet  float64 // seconds since a completion, or since the first was let in beyond the limit

	// Of this window:
	n          int
	logs, took float64
}

// add takes in a completion.
func (rs *routes) add(name string, took time.Duration) {
	if name == "" {
		return
	}
	r, ok := rs.byName[name]
	if !ok {
		if len(rs.byName) >= maxRoutes {
			return
		}
		if rs.byName == nil {
			rs.byName = make(map[string]*route)
		}
		r = &route{number: int16(len(rs.byName) + 1)}
		rs.byName[name] = r
	}
	r.n++
	r.logs += math.Log(took.Seconds())
	r.took += took.Seconds()
}

// close ends a window of some seconds. While it is calm, what it saw is usual.
func (rs *routes) close(seconds float64, calm bool) {
	quick := 0
	for _, r := range rs.byName {
		r.seen = r.n > 0
		r.close(seconds, calm)
		if r.seen && !r.slow() {
			quick++
		}
	}
	rs.load, rs.slow = 0, 0
	for _, r := range rs.byName {
		if !rs.line || !r.apart {
			r.slowly *= math.Exp(-seconds / 2)
		}
		switch {
		case !r.slow():
			rs.load += r.load()
		case r.seen:
			r.slowly, r.apart = 1, quick > 0
		}
		rs.slow += r.slowly
	}
}

// inLine reports whether the route may stand in the line in the handler: no other route
// was slow within the last 2 s, nor, if others were quick then, since the line began.
func (rs *routes) inLine(r *route) bool { return rs.slow-r.slowly < math.Exp(-1) }

func (r *route) close(seconds float64, calm bool) {
	r.flow += (float64(r.n)/seconds - r.flow) * (1 - math.Exp(-seconds/2))
	if r.n == 0 {
		r.quiet += seconds
		return
	}
	r.quiet = 0
	at, mean := r.logs/float64(r.n), r.took/float64(r.n)
	if r.count == 0 {
		r.lately, r.usual, r.mean = at, at, mean
	}
	r.count += r.n
	part := 1 - math.Exp(-float64(r.n)/memory)
	r.lately += (at - r.lately) * part
	if calm {
		r.usual += (at - r.usual) * part / 4
		r.mean += (mean - r.mean) * part / 4
	}
	r.n, r.logs, r.took = 0, 0, 0
}

// slow reports whether requests take longer than usual: they stand in a line.
func (r *route) slow() bool { return r.lately > r.usual+math.Log(slowed) }

// hangs reports whether no request was completed for long, of those let in beyond the limit.
func (r *route) hangs() bool { return r.quiet > 1+10*r.mean }

// load is how many requests the route usually has in the handler, by Little's law.
func (r *route) load() float64 { return r.flow * r.mean }
