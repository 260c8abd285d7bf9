package limiter

import (
	"fmt"
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

// Of all routes together, no more than twice as many as usual are let in.
func TestAllRoutesBeyondTheLimit(t *testing.T) {
	var rs routes
	for range 100 {
		for range 10 {
			rs.add("/a", 50*time.Millisecond)
			rs.add("/b", 50*time.Millisecond)
		}
		rs.close(.1, true)
	}
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
	if len(rs.byName) != maxRoutes {
		t.Errorf("got %d, want %d", len(rs.byName), maxRoutes)
	}
	if r := rs.byName[fmt.Sprint("/", maxRoutes-1)]; r == nil || r.number != maxRoutes {
		t.Errorf("got %v for the last, want number %d", r, maxRoutes)
	}
}
