package limiter

import (
	"math"
	"time"
)

// maxRoutes bounds how many routes are known by name. The patterns of a ServeMux
// are few, but a handler may set any.
const maxRoutes = 256

const (
	memory   = 32  // completions that tell how quick a route is lately
	slowed   = 2.0 // times the usual latency, above which a route is slow
	restored = 1.4 // times the usual latency, below which a slow route is quick again
	wrong    = .5  // times the usual latency: it was measured under load
)

// routes are the latencies of the routes of a handler.
type routes struct {
	plain  route // of requests without a name, and of routes past maxRoutes
	byName map[string]*route
	load   float64 // requests that quick routes usually have in the handler
}

// A route has a usual latency. It is slow while its requests take longer than
// that. Whether load is why, the throughput tells.
type route struct {
	number int16 // from 1; 0 is that of requests without a name
	count  int   // completions, up to the first few
	slow   bool
	usual  float64 // geometric mean of the latencies without load, as a logarithm
	mean   float64 // their mean, ns
	lately float64 // geometric mean of the last few, as a logarithm
	flow   float64 // completions per second

	// Of this window:
	served, gone int
	logs         float64 // of the latencies of the served
	goneLogs     float64 // of the others, after which their clients had left
	took         float64 // of the served, ns
}

func (rs *routes) of(name string) *route {
	if name == "" {
		return &rs.plain
	}
	if r, ok := rs.byName[name]; ok {
		return r
	}
	if len(rs.byName) >= maxRoutes {
		return &rs.plain
	}
	if rs.byName == nil {
		rs.byName = make(map[string]*route)
	}
	r := &route{number: int16(len(rs.byName) + 1)}
	rs.byName[name] = r
	return r
}

func (r *route) add(took time.Duration, gone bool) {
	l := math.Log(float64(took))
	if gone {
		r.gone++
		r.goneLogs += l
		return
	}
	r.served++
	r.logs += l
	r.took += float64(took)
}

// load is how many requests the route usually has in the handler, by Little's law.
func (r *route) load() float64 { return r.flow * r.mean / 1e9 }

// over is by how much a latency is above the usual one, as a logarithm.
func (r *route) over(took time.Duration) float64 {
	if r.count == 0 {
		return 0
	}
	return math.Log(float64(took)) - r.usual
}

// look takes in the latencies of this window, which lasted some seconds. A route
// that is new is taken to be as slow as the others.
func (rs *routes) look(slowness, s float64, binds bool) {
	rs.load = 0
	rs.all(func(r *route) {
		if !r.slow {
			rs.load += r.load()
		}
		if flow := float64(r.served+r.gone) / s; !binds || flow > r.flow { // one that binds lets in fewer
			r.flow += (flow - r.flow) * (1 - math.Exp(-s))
		}
		n, logs := r.served, r.logs
		if n == 0 {
			n, logs = r.gone, r.goneLogs // they take at least that long
		}
		if n == 0 {
			return
		}
		at := logs / float64(n)
		if r.count < firstCount {
			r.meet(at, n, math.Max(1, slowness))
		}
		r.lately += (at - r.lately) * (1 - math.Exp(-float64(n)/memory))
		over := r.lately - r.usual
		if n >= memory && over < math.Log(wrong) {
			r.shift(over / 2)
		}
		r.slow = over > math.Log(slowed) || r.slow && over > math.Log(restored)
	})
}

// meet takes in the first few of a route.
func (r *route) meet(at float64, n int, slowness float64) {
	mean := math.Exp(at)
	if r.served > 0 {
		mean = r.took / float64(n)
	}
	if r.count == 0 {
		r.lately = at
	}
	part := float64(n) / float64(r.count+n)
	r.usual += (at - math.Log(slowness) - r.usual) * part
	r.mean += (mean/slowness - r.mean) * part
	r.count += n
}

// shift corrects what is usual by a logarithm.
func (r *route) shift(by float64) {
	r.usual += by
	r.mean *= math.Exp(by)
}

// learn moves what is usual part of the way to the latencies of this window, less
// for routes with few requests in it.
func (rs *routes) learn(part float64) {
	rs.all(func(r *route) {
		if r.served > 0 {
			weight := part * math.Min(1, float64(r.served)/memory)
			r.usual += (r.logs/float64(r.served) - r.usual) * weight
			r.mean += (r.took/float64(r.served) - r.mean) * weight
		}
	})
}

// settle takes the latencies of late for usual where they are lower, and those of
// the slow routes if slow is set.
func (rs *routes) settle(slow bool) {
	rs.all(func(r *route) {
		if over := r.lately - r.usual; r.count > 0 && (over < 0 || slow && r.slow) {
			r.shift(over)
			r.slow = false
		}
	})
}

// mix is the mean usual latency of the requests of this window, ns; 0 if there
// were none.
func (rs *routes) mix() float64 {
	var n, sum float64
	rs.all(func(r *route) {
		k := float64(r.served + r.gone)
		n += k
		sum += k * r.mean
	})
	return sum / math.Max(1, n)
}

func (rs *routes) anySlow() (slow bool) {
	rs.all(func(r *route) { slow = slow || r.slow })
	return slow
}

func (rs *routes) all(f func(*route)) {
	f(&rs.plain)
	for _, r := range rs.byName {
		f(r)
	}
}

func (rs *routes) clear() {
	rs.all(func(r *route) { r.served, r.gone, r.logs, r.goneLogs, r.took = 0, 0, 0, 0, 0 })
}
