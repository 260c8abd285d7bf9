package limiter

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// What is let in beyond a limit that is full, a row for each rule. Unless said
// otherwise, a route is asked for 100 times a second and takes 50 ms, so that there
// are 5 requests of it in the handler.
func TestRoutesBeyondTheLimit(t *testing.T) {
	ms := time.Millisecond
	const none = -1
	type windows struct {
		route  string
		count  int
		n      int           // completions in each, of 100 ms
		took   time.Duration // each
		loaded bool          // something is late
	}
	usual := windows{"/a", 50, 10, 50 * ms, false}
	other, slow := windows{"/b", 20, 10, 50 * ms, false}, windows{"/b", 9, 10, 500 * ms, true}
	for _, tt := range []struct {
		name  string
		seen  []windows
		route string
		spare int  // 0: plenty
		want  int  // requests of it at a time
		line  bool // there is one in the handler
	}{
		{"as quick as ever: twice as many as usual, and one", []windows{usual}, "/a", 0, 11, false},
		{"a route that was never seen", []windows{usual}, "/b", 0, 0, false},
		{"no name", []windows{{"", 50, 10, 50 * ms, false}}, "", 0, 0, false},
		{"hardly seen", []windows{{"/a", 1, firstCount - 1, 50 * ms, false}}, "/a", 0, 0, false},
		{"seen often enough", []windows{{"/a", 1, firstCount, 50 * ms, false}}, "/a", 0, 2, false},
		{"slower than usual", []windows{usual, {"/a", 9, 10, 80 * ms, true}}, "/a", 0, 0, false},
		{"hardly slower than usual", []windows{usual, {"/a", 50, 10, 70 * ms, true}}, "/a", 0, 11, false},
		{"slower for some of the last", []windows{usual, {"/a", 1, 10, 90 * ms, true}}, "/a", 0, 11, false},
		{"slower while nothing is late: that is usual now", []windows{usual, {"/a", 90, 10, 100 * ms, false}}, "/a", 0, 21, false},
		{"no room for more", []windows{usual}, "/a", none, 0, false},
		{"hardly any room", []windows{usual}, "/a", 1, 11, false},
		{"nobody asks for it any more", []windows{usual, {"/b", 90, 10, 50 * ms, false}}, "/a", 0, 2, false},
		{"hardly anybody does: few", []windows{{"/b", 90, 10, 200 * ms, false}, usual}, "/b", 0, 5, false},
		{"a line, and no route is slow: it may stand in it", []windows{other, usual}, "/a", 0, 0, true},
		{"a line, and another route is slow", []windows{other, usual, slow}, "/a", 0, 7, true},
		{"a line, and another route was slow lately", []windows{other, usual, slow, {"/b", 15, 10, 20 * ms, true}}, "/a", 0, 4, true},
		{"a line, and another route was slow long ago", []windows{other, usual, slow, {"/b", 40, 10, 20 * ms, true}}, "/a", 0, 0, true},
		{"a line, and it was slow itself", []windows{other, usual, {"/a", 9, 10, 500 * ms, true}, {"/a", 9, 10, 20 * ms, true}}, "/a", 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rs routes
			for _, w := range tt.seen {
				for range w.count {
					for range w.n {
						rs.add(w.route, w.took)
					}
					rs.close(.1, !w.loaded)
				}
			}
			rs.line = tt.line
			spare := tt.spare
			switch spare {
			case 0:
				spare = 1000
			case none:
				spare = 0
			}
			var b beyond
			n := 0
			for n < 1000 && b.admit(&rs, tt.route, spare) != nil {
				n++
			}
			if n != tt.want {
				t.Fatalf("%d were let in, want %d", n, tt.want)
			}
			if n > 0 {
				r := rs.byName[tt.route]
				b.leave(r.number)
				if b.admit(&rs, tt.route, spare) == nil {
					t.Error("none was let in for one that left")
				}
				if of, all := int(b.routes[r.number].Load()), int(b.all.Load()); of != n || all != n {
					t.Errorf("then there are %d of the route and %d in all, want %d", of, all, n)
				}
			}
		})
	}
}

// twoCalmRoutes are /a and /b, of which usually 5 requests each are in the handler, for 50 ms.
func twoCalmRoutes() (rs routes) {
	for range 100 {
		for range 10 {
			rs.add("/a", 50*time.Millisecond)
			rs.add("/b", 50*time.Millisecond)
		}
		rs.close(.1, true)
	}
	return rs
}

// Of all routes together, no more than twice as many as usual are let in.
func TestAllRoutesBeyondTheLimit(t *testing.T) {
	rs := twoCalmRoutes()
	for range 20 { // /b is slow now
		for range 10 {
			rs.add("/a", 50*time.Millisecond)
			rs.add("/b", time.Second)
		}
		rs.close(.1, false)
	}
	var b beyond
	b.all.Store(10)
	if b.admit(&rs, "/a", 1000) == nil {
		t.Error("with 10 beside 5 let in: got none, want one more")
	}
	if b.admit(&rs, "/a", 1000) != nil {
		t.Error("with 11 beside 5 let in: got one, want none")
	}
}

// However many routes there are, so many are known.
func TestMostRoutes(t *testing.T) {
	var rs routes
	for i := range 2 * maxRoutes {
		for range firstCount {
			rs.add(fmt.Sprint("/", i), time.Millisecond)
		}
	}
	rs.close(1, true)
	if len(rs.byName) != 256 {
		t.Errorf("got %d, want %d", len(rs.byName), maxRoutes)
	}
	if r := rs.byName[fmt.Sprint("/", maxRoutes-1)]; r == nil || r.number != maxRoutes {
		t.Errorf("got %v for the last, want number %d", r, maxRoutes)
	}
}

// What a window of 32 answers of a route teaches, of which 64 are known that took 50 ms.
func TestRouteLearns(t *testing.T) {
	part := 1 - math.Exp(-1)
	longer := func(share float64) float64 { return math.Log(.05) + share*math.Log(2) }
	for _, tt := range []struct {
		name                string
		n                   int
		took                time.Duration
		calm                bool
		lately, usual, mean float64
		flow                float64
	}{
		{"nothing is late: how long they take, and a little of it is usual", 32, 100 * time.Millisecond, true, longer(part), longer(part / 4), .05 + .05*part/4, 320},
		{"something is late: how long they take is not usual", 32, 100 * time.Millisecond, false, longer(part), longer(0), .05, 320},
		{"fewer answers tell less", 16, 100 * time.Millisecond, true, longer(1 - math.Exp(-.5)), longer((1 - math.Exp(-.5)) / 4), .05 + .05*(1-math.Exp(-.5))/4, 160},
		{"none tell nothing", 0, 0, true, longer(0), longer(0), .05, 0},
	} {
		r := route{count: 64, lately: math.Log(.05), usual: math.Log(.05), mean: .05, flow: 100}
		rs := routes{byName: map[string]*route{"/": &r}}
		for range tt.n {
			rs.add("/", tt.took)
		}
		r.close(.1, tt.calm)
		flow := 100 + (tt.flow-100)*(1-math.Exp(-.05))
		for what, v := range map[string][2]float64{"lately": {r.lately, tt.lately}, "usual": {r.usual, tt.usual}, "mean": {r.mean, tt.mean}, "a second": {r.flow, flow}} {
			if math.Abs(v[0]-v[1]) > 1e-9 {
				t.Errorf("%s: %s: got %v, want %v", tt.name, what, v[0], v[1])
			}
		}
		if r.n != 0 || r.logs != 0 || r.took != 0 || r.count != 64+tt.n {
			t.Errorf("%s: the next window begins with %d answers, %v s, of %d", tt.name, r.n, r.took, r.count)
		}
	}
}

// For how long a route that was slow is one for which others may be quick: for 2 s, or while
// there is a line, if others were quick when it was slow.
func TestRouteWasSlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		line   bool
		others time.Duration // what they take; 0: they do not come
		idle   bool          // it was not asked for when it seemed slow
		after  time.Duration
		want   bool
	}{
		{"it is slow", false, 10 * ms, false, 0, true},
		{"it was a second ago", false, 10 * ms, false, sec, true},
		{"nearly 2 s ago", false, 10 * ms, false, 1900 * ms, true},
		{"longer ago", false, 10 * ms, false, 2100 * ms, false},
		{"there is a line since", true, 10 * ms, false, time.Minute, true},
		{"that, but others were slow too: they share it", true, sec, false, 2100 * ms, false},
		{"that, but no others came", true, 0, false, 2100 * ms, false},
		{"nobody asked for it", true, 10 * ms, true, 0, false},
	} {
		quick, slow := &route{lately: math.Log(.01), usual: math.Log(.01), count: 1}, &route{lately: math.Log(.1), usual: math.Log(.01), count: 1}
		rs := routes{byName: map[string]*route{"/a": quick, "/b": slow}, line: tt.line}
		for range 100 {
			if tt.others > 0 {
				rs.add("/a", tt.others)
			}
			if !tt.idle {
				rs.add("/b", 100*ms)
			}
		}
		rs.close(.1, false)
		slow.lately = slow.usual
		for range tt.after / (100 * ms) {
			rs.close(.1, false)
		}
		if rs.inLine(quick) == tt.want || !rs.inLine(slow) && tt.others != sec {
			t.Errorf("%s: another may stand in line: %v, want %v", tt.name, rs.inLine(quick), !tt.want)
		}
	}
}

// Requests of a route that has come to hang do not keep out those of another that is quick.
func TestHungBeyondTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		quiet time.Duration // since a request of /b was over, which take .05 s
		hang  int32         // of /b
		want  int           // of /a, of which usually 5 are there
	}{
		{"none is there", 0, 0, 11},
		{"some are, and may come back", sec, 8, 9},
		{"they have not come back for long", 2 * sec, 8, 11},
	} {
		rs := twoCalmRoutes()
		for range tt.quiet / (100 * time.Millisecond) {
			for range 10 {
				rs.add("/a", 50*time.Millisecond)
			}
			rs.close(.1, false)
		}
		var b beyond
		b.all.Store(tt.hang)
		b.routes[rs.byName["/b"].number].Store(tt.hang) // since before that time
		n := 0
		for n < 100 && b.admit(&rs, "/a", 1000) != nil {
			n++
		}
		if n != tt.want {
			t.Errorf("%s: %d were let in, want %d", tt.name, n, tt.want)
		}
	}
}
