package main

import (
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/sim"
	"github.com/datapunk/evenkeel/middleware"
)

var (
	long  = flag.Bool("long", false, "run all scenarios in full, which takes minutes")
	seeds = flag.Int("seeds", 10, "how often -long runs each of them")
)

// size returns how often and for how long to run a scenario of some length.
func size(phase time.Duration) (runs int, length time.Duration) {
	if *long {
		return *seeds, 2 * phase
	}
	return 1, phase
}

// shedding is the middleware as it comes. The scheduler of the machine that
// plays the scenario has no part in it.
func shedding(t *testing.T) func(http.Handler) http.Handler {
	t.Helper()
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{SchedulerLatency: -1}),
		middleware.WithDeadlines(middleware.Deadlines{}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return wrap
}

// simulate runs a scenario in a bubble.
func simulate(t *testing.T, s sim.Scenario, seed int, wrap func(*testing.T) func(http.Handler) http.Handler) *sim.Result {
	t.Helper()
	var r *sim.Result
	synctest.Test(t, func(t *testing.T) {
		var mw func(http.Handler) http.Handler
		if wrap != nil {
			mw = wrap(t)
		}
		r = s.Run(uint64(seed)+1, mw)
	})
	return r
}

// figures are those of all seeds.
type figures []float64

func (f figures) mean() float64 {
	var sum float64
	for _, x := range f {
		sum += x
	}
	return sum / float64(len(f))
}

func (f figures) min() float64 { return slices.Min(f) }
func (f figures) max() float64 { return slices.Max(f) }

// atLeast checks the mean, and that no seed is far below.
func (f figures) atLeast(t *testing.T, what string, want float64) {
	t.Helper()
	t.Logf("%s: mean %.3f, min %.3f, max %.3f", what, f.mean(), f.min(), f.max())
	if f.mean() < want || f.min() < want-.05 {
		t.Errorf("%s: mean %.3f and min %.3f, want at least %.3f", what, f.mean(), f.min(), want)
	}
}

// atMost checks each seed.
func (f figures) atMost(t *testing.T, what string, want float64) {
	t.Helper()
	t.Logf("%s: mean %.3f, min %.3f, max %.3f", what, f.mean(), f.min(), f.max())
	if f.max() > want {
		t.Errorf("%s: %.3f, want at most %.3f", what, f.max(), want)
	}
}

func TestOverload(t *testing.T) {
	for _, s := range sim.Backends() {
		for _, load := range []float64{2, 5} {
			if !*long && load*s.Capacity > 20_000 {
				continue // seconds of computing
			}
			t.Run(s.Name+map[float64]string{2: ", twice the load", 5: ", five times the load"}[load], func(t *testing.T) {
				t.Parallel()
				phase := 10 * time.Second
				if s.Capacity > 1000 {
					phase = 2 * time.Second
				}
				runs, phase := size(phase)
				s := s.Overload(load, phase)
				phase = s.Phases[0].For
				end := 2*phase + s.Phases[2].For
				var goodput, served, refused figures
				for seed := range runs {
					r := simulate(t, s, seed, shedding)
					goodput = append(goodput, r.Goodput(phase, 2*phase))
					served = append(served, r.Served(2*phase+2*time.Second, end))
					refused = append(refused, r.Refused(0, phase))
				}
				if s.Capacity < 100 {
					goodput.atLeast(t, "goodput in the overload", .95)
					// It refuses a part of its calm load too: with one core and
					// work of random size chance alone makes some wait for
					// longer than their clients do.
					served.atLeast(t, "served from 2 s after the overload", .95)
					return
				}
				goodput.atLeast(t, "goodput in the overload", .95)
				served.atLeast(t, "served from 2 s after the overload", .995)
				refused.atMost(t, "refused before the overload", .01)
			})
		}
	}
}

// Without anything in between the scenarios collapse and do not recover, or
// they would prove nothing.
func TestOverloadWithout(t *testing.T) {
	for _, s := range sim.Backends()[:2] {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			const phase = 4 * time.Second
			r := simulate(t, s.Overload(2, phase), 0, nil)
			figures{r.Goodput(phase, 2*phase)}.atMost(t, "goodput in the overload", .3)
			figures{r.Served(2*phase+2*time.Second, 3*phase)}.atMost(t, "served from 2 s after the overload", .3)
		})
	}
}

func TestSteady(t *testing.T) {
	for _, s := range sim.Backends()[:3] {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			length := 20 * time.Second
			if s.Capacity > 1000 {
				length = 3 * time.Second
			}
			runs, length := size(length)
			s.Phases = []sim.Phase{{Load: .85, For: length}}
			var refused figures
			for seed := range runs {
				refused = append(refused, simulate(t, s, seed, shedding).Refused(0, length))
			}
			refused.atMost(t, "refused at 85 % of the capacity", .01)
		})
	}
}

// Clients that do as they are told.
func TestComingBack(t *testing.T) {
	t.Run("burst", func(t *testing.T) {
		t.Parallel()
		runs, _ := size(0)
		var served, peak figures
		for seed := range runs {
			s := sim.Wave()
			at := s.Bursts[0].At
			r := simulate(t, s, seed, shedding)
			served = append(served, r.Served(at, at+time.Millisecond))
			peak = append(peak, float64(r.Peak(100*time.Millisecond, at+100*time.Millisecond, r.Length)))
		}
		served.atLeast(t, "served of the burst", .98)
		peak.atMost(t, "peak of the second wave per 100 ms", 60)
	})
	// Who says how long it has is told not to come back if it cannot be served in that
	// time. Who says nothing may have time, or another replica to go to, so it is told
	// when to come back: once, and to be served.
	for name, tt := range map[string]struct {
		announce bool
		attempts float64
	}{"step": {announce: true, attempts: 1.2}, "step, nothing announced": {attempts: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const phase = 20 * time.Second
			runs, _ := size(0)
			for _, s := range sim.Backends()[:2] {
				s := s.Overload(2, phase)
				s.Obey, s.Announce = true, tt.announce
				var attempts, goodput figures
				for seed := range runs {
					r := simulate(t, s, seed, shedding)
					attempts = append(attempts, r.AttemptsPerCall(phase, 2*phase))
					goodput = append(goodput, r.Goodput(phase, 2*phase))
				}
				attempts.atMost(t, s.Name+": attempts per call in an overload", tt.attempts)
				goodput.atLeast(t, s.Name+": goodput", .95)
			}
		})
	}
}

// The scenarios that nothing was tuned with. Without -long only those that went
// wrong before.
func TestHoldOut(t *testing.T) {
	want := map[string]struct{ served, goodput, refused float64 }{
		"four times slower, no overload":         {served: .94},
		"twenty times slower, no overload":       {served: .8},
		"more of the slow route, no overload":    {served: .97},
		"long tail, three times the load":        {goodput: .93},
		"half the capacity":                      {goodput: .465}, // of which half is left
		"impatient clients, five times the load": {goodput: .95},
		"started in an overload":                 {goodput: .95},
		"started in an overload of a pool":       {goodput: .95},
		"idle, then twice the load":              {goodput: .94},
		"a third more for long":                  {goodput: .95},
		"bursts of 30 each second, no overload":  {served: .995, refused: .01},
		"cheap and dear, twice the load":         {goodput: .92},
		"a dependency hangs, no overload":        {served: .78, refused: .05}, // a fifth of the calls hang
	}
	for _, s := range sim.HoldOut() {
		w, ok := want[s.Name]
		if !*long && !strings.Contains("started in an overload, four times slower, no overload, a dependency hangs, no overload", s.Name) {
			continue
		}
		if !ok {
			t.Errorf("nothing is expected of %q", s.Name)
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			runs, _ := size(0)
			var served, goodput, refused figures
			for seed := range runs {
				r := simulate(t, s, seed, shedding)
				served = append(served, r.Served(sim.Change, r.Length))
				goodput = append(goodput, r.Goodput(sim.Change, r.Length))
				refused = append(refused, r.Refused(0, r.Length))
			}
			served.atLeast(t, "served", w.served)
			goodput.atLeast(t, "goodput", w.goodput)
			if w.refused > 0 {
				refused.atMost(t, "refused", w.refused)
			}
		})
	}
}
