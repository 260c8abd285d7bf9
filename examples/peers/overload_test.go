package peers

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/sim"
	"github.com/datapunk/evenkeel/middleware"
)

var overloads = flag.Bool("overload", false, "compare servers in all overload scenarios, which takes minutes")

// noise is how much one run may differ, including the cost of probing, by which
// evenkeel finds the capacity that other limiters are given.
const noise = .05

// column is a scenario and the one figure that it is about.
type column struct {
	name   string
	s      sim.Scenario
	room   int // requests that the backend serves at a time
	figure func(*sim.Result) float64
	lower  bool // the lower the better
	slack  float64
}

func columns(phase time.Duration) (list []column) {
	rooms := map[string]int{"cpu": 6, "pool": 40, "large pool": 280, "one core": 2}
	for _, s := range sim.Backends() {
		length := phase
		if s.Capacity > 1000 {
			length = min(phase, 4*time.Second)
		}
		for _, load := range []float64{2, 5} {
			s := s.Overload(load, length)
			from, to := s.Phases[0].For, s.Phases[0].For+s.Phases[1].For
			list = append(list, column{fmt.Sprintf("%s x%v, goodput", s.Name, load), s, rooms[s.Name],
				func(r *sim.Result) float64 { return r.Goodput(from, to) }, false, noise})
			if load == 2 {
				list = append(list, column{s.Name + " x2, served after it", s, rooms[s.Name],
					func(r *sim.Result) float64 { return r.Served(to+2*time.Second, r.Length) }, false, noise})
			}
		}
		if s.Capacity > 100 {
			s.Phases = []sim.Phase{{Load: .85, For: length}}
			list = append(list, column{s.Name + " at 85 %, refused", s, rooms[s.Name],
				func(r *sim.Result) float64 { return r.Refused(0, r.Length) }, true, .01})
		}
	}
	wave := sim.Wave()
	at := wave.Bursts[0].At
	list = append(list, column{"burst of 600, served", wave, rooms["cpu"],
		func(r *sim.Result) float64 { return r.Served(at, at+time.Millisecond) }, false, .01})
	step := sim.Backends()[0].Overload(2, 20*time.Second)
	step.Obey = true
	list = append(list, column{"cpu x2, attempts per call", step, rooms["cpu"],
		func(r *sim.Result) float64 { return r.AttemptsPerCall(20*time.Second, 40*time.Second) }, true, .02})
	for _, s := range sim.HoldOut() {
		list = append(list, column{s.Name + ", goodput", s, int(1.5 * s.Capacity * .04),
			func(r *sim.Result) float64 { return r.Goodput(sim.Change, r.Length) }, false, noise})
	}
	return list
}

// The same scenarios with each library. A limiter that was given the capacity may
// do better than evenkeel, and so may no limiter if nothing is overloaded.
func TestServersInOverload(t *testing.T) {
	list := columns(20 * time.Second)
	if !*overloads {
		list = list[:2]
	}
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := map[string]float64{}
			line := ""
			for _, l := range Limiters() {
				synctest.Test(t, func(t *testing.T) {
					got[l.Name] = c.figure(c.s.Run(1, l.New(c.room)))
				})
				line += fmt.Sprintf("%s %.3f  ", l.Name, got[l.Name])
			}
			t.Log(line)
			for _, l := range Limiters() {
				worse := got[l.Name] - got["evenkeel"]
				if c.lower {
					worse = -worse
				}
				if l.Name != "none" && !l.Tuned && worse > c.slack {
					t.Errorf("evenkeel has %.3f, %s %.3f", got["evenkeel"], l.Name, got[l.Name])
				}
			}
		})
	}
}

// The cost of an admitted request.
func BenchmarkAdmission(b *testing.B) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	r := httptest.NewRequest("GET", "/", nil)
	alone := Limiter{Name: "evenkeel shedding", New: func(int) func(http.Handler) http.Handler {
		return must(middleware.New(middleware.WithShedding(middleware.Shedding{})))
	}}
	for _, l := range append(Limiters(), alone) {
		h := l.New(10)(ok)
		b.Run(l.Name, func(b *testing.B) {
			w := &conn{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// conn has the methods of net/http's own ResponseWriter.
type conn struct{ header http.Header }

func (w *conn) Header() http.Header                          { return w.header }
func (w *conn) WriteHeader(int)                              {}
func (w *conn) Write(p []byte) (int, error)                  { return len(p), nil }
func (w *conn) Flush()                                       {}
func (w *conn) ReadFrom(r io.Reader) (int64, error)          { return io.Copy(io.Discard, r) }
func (w *conn) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
