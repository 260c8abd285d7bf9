package middleware

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

const (
	schedulerMetric = "/sched/latencies:seconds"
	schedulerTail   = 0.99
)

// schedulerWait reads from the runtime how long goroutines wait for a processor.
// It is not safe for concurrent use.
type schedulerWait struct {
	read   []metrics.Sample
	before []uint64 // counts of the histogram when it was last read
}

// sample returns the 99th-percentile wait since the last call.
func (s *schedulerWait) sample() (limiter.SchedulerSample, bool) {
	if s.read == nil {
		s.read = []metrics.Sample{{Name: schedulerMetric}}
	}
	metrics.Read(s.read)
	if s.read[0].Value.Kind() != metrics.KindFloat64Histogram {
		return limiter.SchedulerSample{}, false
	}
	tail, ok := s.tail(s.read[0].Value.Float64Histogram())
	return limiter.SchedulerSample{P99: time.Duration(tail * float64(time.Second)), Processors: runtime.GOMAXPROCS(0)}, ok
}

// tail returns the wait in seconds that one in a hundred exceeded since the last
// call.
func (s *schedulerWait) tail(h *metrics.Float64Histogram) (float64, bool) {
	first := len(s.before) == 0
	if len(s.before) != len(h.Counts) {
		s.before = make([]uint64, len(h.Counts))
	}
	var total uint64
	for i, n := range h.Counts {
		total += n - s.before[i]
	}
	tail, rest := 0.0, total
	for i, n := range h.Counts {
		rest -= n - s.before[i]
		if float64(rest) <= (1-schedulerTail)*float64(total) {
			tail = h.Buckets[i] // where the bucket begins: the last has no end
			break
		}
	}
	copy(s.before, h.Counts)
	return math.Max(tail, 0), !first && total > 0
}
