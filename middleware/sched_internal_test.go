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

// The runtime has the histogram by the name and kind that is asked for.
func TestSchedulerMetric(t *testing.T) {
	g := newSchedGuard(time.Nanosecond)
	for i := range 3 {
		g.capped(time.Duration(i+1)*schedEvery, 100, 100, 1)
	}
	if len(g.before) == 0 {
		t.Errorf("%s was not read", schedMetric)
	}
}
