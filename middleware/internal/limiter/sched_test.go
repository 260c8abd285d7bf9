package limiter

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestSchedulerLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tails []float64 // seconds
		want  float64   // limit; 0: none
	}{
		{"calm", []float64{.001, .002, .001}, 0},
		{"one long wait", []float64{.001, .5, .001}, 0},
		{"overload", []float64{.001, .5, .5}, 80},
		{"goes on", []float64{.001, .5, .5, .5, .5}, 51.2},
		{"to the floor", []float64{.001, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5}, 8},
		{"from the start", []float64{.02, .02, .02, .02}, 51.2},
		{"always so on this machine", slices.Repeat([]float64{.02}, 100), 0},
		{"worse than it always is", append(slices.Repeat([]float64{.02}, 41), .07, .07), 80},
		{"above the calm of this machine only", []float64{.009, .02, .02, .02}, 0},
		{"over", []float64{.001, .5, .5, .001, .001, .001, .001, .001, .001}, 0},
		{"over lately: it goes up by a fourth each time", []float64{.001, .5, .5, .001, .001, .001, .001}, 80 * 1.25 * 1.25 * 1.25 * 1.25},
		{"until it is twice what is found otherwise: no limit", []float64{.001, .5, .5, .001, .001, .001, .001, .001}, 0},
		{"as long as is never too long", []float64{.01, .01, .01}, 0},
		{"long waits, but not one after the other", []float64{.001, .5, .001, .5, .001, .5}, 0},
		{"40 times in a row", slices.Repeat([]float64{.02}, 40), 8},
		{"41 times, the last for far too long, which is not always so", append(slices.Repeat([]float64{.02}, 40), .3), 8},
		{"41 times: it is always so", slices.Repeat([]float64{.02}, 41), 0},
	} {
		s := newSchedLimit(10*time.Millisecond, nil)
		for _, tail := range tt.tails {
			s.judge(tail, 100, 100, 8)
		}
		if d := s.limit - tt.want; d < -.01 || d > .01 {
			t.Errorf("%s: limit %.1f, want %.1f", tt.name, s.limit, tt.want)
		}
	}
}

// How long goroutines wait on this machine without an overload, and what is lowered where
// next to nothing is in flight.
func TestSchedulerCalm(t *testing.T) {
	for _, tt := range []struct {
		name        string
		tails       []float64
		inFlight    float64
		calm, limit float64
	}{
		{"the first wait", []float64{.002}, 1, .002, 0},
		{"a longer one counts a twentieth", []float64{.002, .004}, 1, .0021, 0},
		{"a shorter one, too", []float64{.004, .002}, 1, .0039, 0},
		{"one that is too long does not", []float64{.002, .5}, 1, .002, 0},
		{"one in flight: the floor", []float64{.002, .5, .5}, 1, .002, 1},
		{"nothing in flight: the floor", []float64{.002, .5, .5}, 0, .002, 1},
		{"three in flight: four fifths", []float64{.002, .5, .5}, 3, .002, 2.4},
	} {
		s := newSchedLimit(10*time.Millisecond, nil)
		for _, tail := range tt.tails {
			s.judge(tail, 100, tt.inFlight, 1)
		}
		if math.Abs(s.calm-tt.calm) > 1e-9 || math.Abs(s.limit-tt.limit) > 1e-9 {
			t.Errorf("%s: got %v s and a limit of %v, want %v s and %v", tt.name, s.calm, s.limit, tt.calm, tt.limit)
		}
	}
}

// From what the limit is lowered, and down to what. Goroutines wait too long each time.
func TestSchedulerFloor(t *testing.T) {
	for _, tt := range []struct {
		name       string
		inFlight   []float64
		busy       float64 // requests that keep the handler busy
		processors int
		want       float64
		limit      float64 // that is found otherwise
	}{
		{"not below the processors", []float64{1, 1}, 2, 4, 4, 100},
		{"nor below what keeps the handler busy", []float64{1, 1}, 8, 4, 8, 100},
		{"from what is in flight", []float64{100, 100}, 2, 4, 80, 100},
		{"then from the limit", []float64{100, 100, 100}, 2, 4, 64, 100},
		{"or from what is in flight, if that is less", []float64{100, 100, 20}, 2, 4, 16, 100},
		{"the limit that is found is lower", []float64{100, 100}, 2, 4, 50, 50},
	} {
		s := newSchedLimit(10*time.Millisecond, func() (SchedulerSample, bool) {
			return SchedulerSample{P99: 50 * time.Millisecond, Processors: tt.processors}, true
		})
		for i, n := range tt.inFlight {
			s.look(start+time.Duration(i), 100, n, tt.busy)
		}
		if got := s.capped(tt.limit); math.Abs(got-tt.want) > 1e-9 || s.due(s.at+schedEvery-1) || !s.due(s.at+schedEvery) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A share is refused as long as goroutines wait for far too long, and no longer
// than that helps.
func TestSchedulerLimitRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tails []float64 // seconds
		want  float64
	}{
		{"calm", []float64{.001, .001}, 0},
		{"too long", []float64{.001, .1, .1, .1}, 0}, // for the limit to see to
		{"just that long", []float64{.001, .2}, 0},
		{"hardly longer", []float64{.001, .205}, .5},
		{"far too long", []float64{.001, .3}, .5},
		{"goes on", []float64{.001, .3, .3, .3}, .875},
		{"never all", append([]float64{.001}, slices.Repeat([]float64{5}, 20)...), schedMost},
		{"gets better", []float64{.001, .3, .3, .1, .1}, .75 * .75 * .75},
		{"over", append([]float64{.001, .3, .3}, slices.Repeat([]float64{.001}, 10)...), 0},
		{"nearly over: a twentieth", append([]float64{.001, .3}, slices.Repeat([]float64{.001}, 8)...), .5 * math.Pow(.75, 8)},
		{"less than a twentieth: none", append([]float64{.001, .3, .3, .3}, slices.Repeat([]float64{.001}, 10)...), 0},
		{"in vain", append([]float64{.001}, slices.Repeat([]float64{5}, 50)...), 0},
	} {
		s := newSchedLimit(10*time.Millisecond, nil)
		for _, tail := range tt.tails {
			s.judge(tail, 100, 10, 2)
		}
		if d := s.refuse - tt.want; d < -.001 || d > .001 {
			t.Errorf("%s: refuses %.3f, want %.3f", tt.name, s.refuse, tt.want)
		}
	}
}

// A share of the requests is refused: all retries, the others by chance. A sample
// is taken although no request completes.
func TestRefuseOverrun(t *testing.T) {
	samples := 0
	c := New(Config{Min: 2, Max: 100, SchedulerLatency: 10 * time.Millisecond, Scheduler: func() (SchedulerSample, bool) {
		samples++
		return SchedulerSample{}, false
	}})
	if c.Overruns() || c.RefuseOverrun(0, true, 0, 0) {
		t.Error("refused without an overload")
	}
	c.adaptive.sched.refuse, c.adaptive.sched.at = .5, time.Hour
	c.publishOverrun()
	if !c.Overruns() {
		t.Error("got no overrun, want one")
	}
	refused := 0
	for i := range 100 {
		chance := float64(i) / 100
		if !c.RefuseOverrun(time.Hour, true, chance, 0) {
			t.Fatalf("a retry was let in at %v", chance)
		}
		if c.RefuseOverrun(time.Hour, false, chance, 0) {
			refused++
		}
	}
	if refused != 50 || c.adaptive.window.shed != 150 {
		t.Errorf("got %d of 100 refused and %d counted, want 50 and 150", refused, c.adaptive.window.shed)
	}
	if samples != 0 {
		t.Errorf("got %d samples, want none before one is due", samples)
	}
	c.RefuseOverrun(time.Hour+schedEvery, false, 1, 0)
	if samples != 1 {
		t.Errorf("got %d samples, want 1", samples)
	}
}
