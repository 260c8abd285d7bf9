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
	type windows struct {
		route  string
		count  int
		n      int           // completions in each, of 100 ms
		took   time.Duration // each
		loaded bool          // something is late
	}
	usual := windows{"/a", 50, 10, 50 * ms, false}
	for _, tt := range []struct {
		name  string
		seen  []windows
		route string
		spare int // 0: plenty; negative: none
		want  int // requests of it at a time
	}{
		{"as quick as ever: twice as many as usual, and one", []windows{usual}, "/a", 0, 11},
		{"a route that was never seen", []windows{usual}, "/b", 0, 0},
		{"no name", []windows{{"", 50, 10, 50 * ms, false}}, "", 0, 0},
		{"hardly seen", []windows{{"/a", 1, firstCount - 1, 50 * ms, false}}, "/a", 0, 0},
		{"seen often enough", []windows{{"/a", 1, firstCount, 50 * ms, false}}, "/a", 0, 2},
		{"slower than usual", []windows{usual, {"/a", 9, 10, 80 * ms, true}}, "/a", 0, 0},
		{"hardly slower than usual", []windows{usual, {"/a", 50, 10, 70 * ms, true}}, "/a", 0, 11},
		{"slower for some of the last", []windows{usual, {"/a", 1, 10, 90 * ms, true}}, "/a", 0, 11},
		{"slower while nothing is late: that is usual now", []windows{usual, {"/a", 90, 10, 100 * ms, false}}, "/a", 0, 21},
		{"no room for more", []windows{usual}, "/a", -1, 0},
		{"nobody asks for it any more", []windows{usual, {"/b", 90, 10, 50 * ms, false}}, "/a", 0, 2},
		{"hardly anybody does: few", []windows{{"/b", 90, 10, 200 * ms, false}, usual}, "/b", 0, 5},
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
			spare := tt.spare
			if spare == 0 {
				spare = 1000
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
