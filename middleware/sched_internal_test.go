package middleware

import (
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

func TestSchedulerTail(t *testing.T) {
	g := newSchedGuard(10 * time.Millisecond)
	h := &metrics.Float64Histogram{Counts: []uint64{5, 0, 0}, Buckets: []float64{0, .001, .1, 1}}
	if _, ok := g.tail(h); ok {
		t.Error("a tail without anything to compare with")
	}
	for _, tt := range []struct {
		more []uint64 // since the last look
		want float64
		ok   bool
	}{
		{[]uint64{0, 0, 0}, 0, false},
		{[]uint64{1000, 5, 4}, 0, true}, // fewer than one in a hundred
		{[]uint64{98, 2, 0}, .001, true},
		{[]uint64{90, 0, 10}, .1, true},
	} {
		for i, n := range tt.more {
			h.Counts[i] += n
		}
		if got, ok := g.tail(h); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%v: %v, %v; want %v, %v", tt.more, got, ok, tt.want, tt.ok)
		}
	}
}

func TestSchedulerGuard(t *testing.T) {
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
	} {
		g := newSchedGuard(10 * time.Millisecond)
		for _, tail := range tt.tails {
			g.judge(tail, 100, 100, 8)
		}
		if d := g.limit - tt.want; d < -.01 || d > .01 {
			t.Errorf("%s: limit %.1f, want %.1f", tt.name, g.limit, tt.want)
		}
	}
}

// A share is refused as long as goroutines wait for far too long, and no longer
// than that helps.
func TestSchedulerGuardRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tails []float64 // seconds
		want  float64
	}{
		{"calm", []float64{.001, .001}, 0},
		{"too long", []float64{.001, .1, .1, .1}, 0}, // for the limit to see to
		{"far too long", []float64{.001, .3}, .5},
		{"goes on", []float64{.001, .3, .3, .3}, .875},
		{"never all", append([]float64{.001}, slices.Repeat([]float64{5}, 20)...), schedMost},
		{"gets better", []float64{.001, .3, .3, .1, .1}, .75 * .75 * .75},
		{"over", append([]float64{.001, .3, .3}, slices.Repeat([]float64{.001}, 10)...), 0},
		{"in vain", append([]float64{.001}, slices.Repeat([]float64{5}, 50)...), 0},
	} {
		g := newSchedGuard(10 * time.Millisecond)
		for _, tail := range tt.tails {
			g.judge(tail, 100, 10, 2)
		}
		if d := g.refuse - tt.want; d < -.001 || d > .001 {
			t.Errorf("%s: refuses %.3f, want %.3f", tt.name, g.refuse, tt.want)
		}
	}
}

// Retries go first, the others by lot, and somebody looks again although
// nothing is completed.
func TestOverruns(t *testing.T) {
	g := newGate(&config{shedding: &Shedding{}}, time.Now())
	if g.overruns(0, func() bool { t.Error("asked in vain"); return true }) {
		t.Error("refused without an overload")
	}
	g.adaptive.guard.refuse, g.adaptive.guard.at = .5, time.Hour
	g.publishGuard()
	refused := 0
	for range 1000 {
		if !g.overruns(time.Hour, func() bool { return true }) {
			t.Fatal("a retry was let in")
		}
		if g.overruns(time.Hour, func() bool { return false }) {
			refused++
		}
	}
	if refused < 400 || refused > 600 || g.adaptive.window.shed != 1000+refused {
		t.Errorf("%d of 1000 refused, %d counted", refused, g.adaptive.window.shed)
	}
	g.overruns(2*time.Hour, func() bool { return false })
	if g.adaptive.guard.at != 2*time.Hour {
		t.Error("nobody looked again")
	}
}

// The runtime has the histogram by the name and kind that is asked for.
func TestSchedulerMetric(t *testing.T) {
	g := newSchedGuard(time.Nanosecond)
	for i := range 3 {
		g.look(time.Duration(i+1)*schedEvery, 100, 100, 1)
	}
	if len(g.before) == 0 {
		t.Errorf("%s was not read", schedMetric)
	}
}
