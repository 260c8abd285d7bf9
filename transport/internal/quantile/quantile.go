// Package quantile estimates a quantile of latencies.
//
// An [Estimator] keeps a histogram of about the last thousand latencies. A
// running estimate that moves one step per latency would need less memory, but
// it fails on the latencies that matter most: between the usual ones and a few
// that take ten times as long lies nothing that would move it.
package quantile

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// An Estimator estimates one quantile of the latencies that it is told. It is
// safe for concurrent use.
type Estimator struct {
	quantile float64
	value    atomic.Int64 // ns; 0 while it is not known
	updating atomic.Bool
	added    atomic.Uint32
	counts   [buckets]atomic.Uint32
}

const (
	warm   = 100  // latencies before the estimate means anything
	every  = 32   // latencies from one update to the next
	forget = 2000 // latencies at which an update halves the counts

	split   = 3  // bits; 8 buckets per factor of two, none wider than 12.5 %
	first   = 16 // the octave of the first bucket: 2^16 ns, 65 µs
	last    = 37 // the octave after the last bucket: 2^37 ns, 137 s
	buckets = (last - first) << split
)

// New returns an Estimator of the given quantile, between 0 and 1.
func New(quantile float64) *Estimator { return &Estimator{quantile: quantile} }

// Value returns the estimate, or 0 before there are 100 latencies.
func (e *Estimator) Value() time.Duration { return time.Duration(e.value.Load()) }

// Add adds a latency. Below 65 µs and above 137 s it counts as that.
func (e *Estimator) Add(latency time.Duration) {
	e.counts[bucketOf(latency)].Add(1)
	if e.added.Add(1)%every == 0 && e.updating.CompareAndSwap(false, true) {
		e.update()
		e.updating.Store(false)
	}
}

func (e *Estimator) update() {
	var n uint32
	for i := range e.counts {
		n += e.counts[i].Load()
	}
	if n < warm {
		return
	}
	// The estimate is low by half a standard deviation. A hedge is rather sent
	// too early, which its ratio bounds, than too late, which nothing does.
	above := (1 - e.quantile) * float64(n)
	above += math.Sqrt(above) / 2
	for i := buckets - 1; i >= 0; i-- {
		in := float64(e.counts[i].Load())
		if in >= above && in > 0 {
			low, high := lowerEdge(i), lowerEdge(i+1)
			e.value.Store(high - int64(float64(high-low)*above/in))
			break
		}
		above -= in
	}
	if n >= forget {
		for i := range e.counts {
			c := &e.counts[i]
			c.Add(-(c.Load() / 2))
		}
	}
}

func bucketOf(d time.Duration) int {
	n := min(max(uint64(max(d, 0)), 1<<first), 1<<last-1)
	octave := bits.Len64(n) - 1
	within := n>>(octave-split) - 1<<split
	return (octave-first)<<split + int(within)
}

// lowerEdge is the least latency of a bucket, in ns.
func lowerEdge(i int) int64 {
	octave, within := i>>split+first, i&(1<<split-1)
	return int64(1<<split+within) << (octave - split)
}
