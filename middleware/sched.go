package middleware

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

const (
	schedMetric = "/sched/latencies:seconds"
	schedEvery  = 250 * time.Millisecond
	schedTail   = 0.99
	schedRise   = 3 // over the calm tail from which on the processors are overloaded
)

// schedGuard watches how long goroutines that could run wait for a processor.
// When the work is bound by the CPU the queue stands there, before any handler
// starts, where the latency of handlers does not show it. As long as it stands
// the limit goes down, to no less than what the processors can run, nor than
// what keeps the handler busy: goroutines may wait because of another process,
// or of work that is not the handler's.
//
// It reads the runtime's histogram when a window closes, so that it needs no
// goroutine. It is not safe for concurrent use.
type schedGuard struct {
	least  float64 // tail that is never too long, seconds
	sample []metrics.Sample
	before []uint64
	at     time.Duration
	calm   float64 // tail without overload, seconds
	over   int     // samples in a row that were too long
	limit  float64 // 0: none
}

func newSchedGuard(least time.Duration) *schedGuard {
	return &schedGuard{least: least.Seconds(), sample: []metrics.Sample{{Name: schedMetric}}}
}

// capped returns the limit or, while goroutines wait for too long, less.
func (g *schedGuard) capped(now time.Duration, limit, inFlight, busy float64) float64 {
	if now-g.at >= schedEvery {
		g.at = now
		metrics.Read(g.sample)
		if g.sample[0].Value.Kind() == metrics.KindFloat64Histogram {
			if tail, ok := g.tail(g.sample[0].Value.Float64Histogram()); ok {
				g.judge(tail, limit, inFlight, math.Max(busy, float64(runtime.GOMAXPROCS(0))))
			}
		}
	}
	if g.limit > 0 {
		return math.Min(limit, g.limit)
	}
	return limit
}

// tail returns the latency that one in a hundred waits since the last call
// exceeded.
func (g *schedGuard) tail(h *metrics.Float64Histogram) (float64, bool) {
	first := len(g.before) == 0
	if len(g.before) != len(h.Counts) {
		g.before = make([]uint64, len(h.Counts))
	}
	var total uint64
	for i, n := range h.Counts {
		total += n - g.before[i]
	}
	tail, rest := 0.0, total
	for i, n := range h.Counts {
		rest -= n - g.before[i]
		if tail == 0 && float64(rest) <= (1-schedTail)*float64(total) {
			tail = h.Buckets[i] // where the bucket begins: the last has no end
		}
	}
	copy(g.before, h.Counts)
	return math.Max(tail, 0), !first && total > 0
}

// judge sets the limit by a tail that was seen, not below the floor.
func (g *schedGuard) judge(tail, limit, inFlight, floor float64) {
	if tail <= math.Max(g.least, schedRise*g.calm) {
		g.over = 0
		if g.calm == 0 {
			g.calm = tail
		}
		g.calm += (tail - g.calm) * .05
		if g.limit *= 1.25; g.limit > 2*limit {
			g.limit = 0
		}
		return
	}
	if g.over++; g.over < 2 {
		return // one long wait is no overload
	}
	from := math.Max(inFlight, 1)
	if g.limit > 0 {
		from = math.Min(from, g.limit)
	}
	g.limit = math.Max(floor, from*.8)
}
