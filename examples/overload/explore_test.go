package overload_test

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/sim"
	"github.com/datapunk/evenkeel/middleware"
)

var seeds = flag.Int("seeds", 2, "")
var only = flag.String("only", "", "")
var obey = flag.Bool("obey", false, "")
var phase = flag.Duration("phase", 30*time.Second, "")

func TestExplore(t *testing.T) {
	if *debug {
		middleware.Debug = func(f string, a ...any) { fmt.Printf(f+"\n", a...) }
	}
	one := func(s sim.Scenario, f func(r *sim.Result) string) {
		if !strings.Contains(s.Name, *only) {
			return
		}
		for seed := range uint64(*seeds) {
			if int(seed) < *firstSeed {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{SchedulerLatency: -1}), middleware.WithDeadlines(middleware.Deadlines{}))
				if err != nil {
					t.Fatal(err)
				}
				_ = http.StatusOK
				r := s.Run(seed+42, wrap)
				fmt.Printf("%-40s seed %d %s\n", s.Name, seed, f(r))
			})
		}
	}
	p := *phase
	for _, s := range sim.Backends() {
		for _, load := range []float64{2, 5} {
			if s.Capacity > 1000 {
				p = *phase / 3
			} else {
				p = *phase
			}
			o := s.Overload(load, p)
			o.Obey = *obey
			p := o.Phases[0].For
			o.Name = fmt.Sprintf("%s x%v obey %v", s.Name, load, *obey)
			one(o, func(r *sim.Result) string {
				return fmt.Sprintf("good %5.1f%% p99 %4d ms false %5.2f%% att %.2f back after 2 s: served %5.1f%% refused %5.1f%%", 100*r.Goodput(p, 2*p),
					r.Percentile(.99, p, 2*p).Milliseconds(), 100*r.Refused(0, p), r.AttemptsPerCall(p, 2*p), 100*r.Served(2*p+2*time.Second, 3*p), 100*r.Refused(2*p+2*time.Second, 3*p))
			})
		}
		st := s
		st.Name += " steady 85 %"
		st.Phases = []sim.Phase{{.85, 2 * p}}
		one(st, func(r *sim.Result) string {
			return fmt.Sprintf("false %.2f served %.2f", 100*r.Refused(0, r.Length), 100*r.Served(0, r.Length))
		})
	}
	one(sim.Wave(), func(r *sim.Result) string {
		at := 10 * time.Second
		return fmt.Sprintf("served %.1f peak of 2nd wave %d refused %.1f att %.2f all %.1f", 100*r.Served(at, at+time.Millisecond), r.Peak(100*time.Millisecond, at+100*time.Millisecond, r.Length), 100*r.Refused(at, at+time.Millisecond), r.AttemptsPerCall(at, at+time.Millisecond), 100*r.Served(at, r.Length))
	})
	for _, s := range sim.HoldOut() {
		one(s, func(r *sim.Result) string {
			c := sim.Change
			return fmt.Sprintf("good %5.1f%% served %.1f false before %.2f%% after %.2f%% p99 %d", 100*r.Goodput(c, r.Length), 100*r.Served(c, r.Length), 100*r.Refused(0, c), 100*r.Refused(c, r.Length), r.Percentile(.99, c, r.Length).Milliseconds())
		})
	}
}

var debug = flag.Bool("debug", false, "")
var firstSeed = flag.Int("first", 0, "")
