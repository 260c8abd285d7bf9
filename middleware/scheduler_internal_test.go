package middleware

import (
	"runtime/metrics"
	"testing"
)

func TestSchedulerTail(t *testing.T) {
	var s schedulerWait
	h := &metrics.Float64Histogram{Counts: []uint64{5, 0, 0}, Buckets: []float64{0, .001, .1, 1}}
	if _, ok := s.tail(h); ok {
		t.Error("a tail without anything to compare with")
	}
	for _, tt := range []struct {
		more []uint64 // since the last call
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
		if got, ok := s.tail(h); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%v: %v, %v; want %v, %v", tt.more, got, ok, tt.want, tt.ok)
		}
	}
}

// The runtime has the histogram by the name and kind that is asked for.
func TestSchedulerMetric(t *testing.T) {
	var s schedulerWait
	s.sample()
	if got, _ := s.sample(); len(s.before) == 0 || got.Processors < 1 {
		t.Errorf("%s: got %d buckets and %d processors, want some", schedulerMetric, len(s.before), got.Processors)
	}
}
