package transport

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A tail knows a quantile of the latency of a service, from a histogram of
// about the last thousand answers. Following the quantile step by step instead
// fails where it is wanted most: between the usual answers and a few that are
// ten times as slow there is nothing that would move it.
type tail struct {
	at     atomic.Int64 // the quantile in ns, 0 while it is not known
	busy   atomic.Bool  // somebody is looking
	seen   atomic.Uint32
	counts [tailBuckets]atomic.Uint32
}

const (
	tailWarm  = 100  // answers that make a quantile worth going by
	tailLook  = 32   // answers after which it is looked up again
	tailKeep  = 2000 // answers at which the older half is forgotten
	tailSplit = 3    // bits; 8 buckets per factor of two, none wider than 12.5 %
	tailFirst = 16   // 65 µs: a copy could not be faster than what is below
	tailLast  = 37   // 137 s

	tailBuckets = (tailLast - tailFirst) << tailSplit
)

// delay returns the quantile, or 0 while it is not known.
func (t *tail) delay() time.Duration { return time.Duration(t.at.Load()) }

func (t *tail) learn(latency time.Duration, quantile float64, answered bool) {
	if !answered {
		return
	}
	t.counts[tailBucket(latency)].Add(1)
	if t.seen.Add(1)%tailLook == 0 && t.busy.CompareAndSwap(false, true) {
		t.look(quantile)
		t.busy.Store(false)
	}
}

// look finds the quantile, and forgets.
func (t *tail) look(quantile float64) {
	var n uint32
	for i := range t.counts {
		n += t.counts[i].Load()
	}
	if n < tailWarm {
		return
	}
	// By half a standard deviation rather early than late: what that costs is
	// bounded by Ratio.
	above := (1 - quantile) * float64(n)
	above += math.Sqrt(above) / 2
	for i := tailBuckets - 1; i >= 0; i-- {
		in := float64(t.counts[i].Load())
		if in >= above && in > 0 {
			low, high := tailEdge(i), tailEdge(i+1)
			t.at.Store(high - int64(float64(high-low)*above/in))
			break
		}
		above -= in
	}
	if n >= tailKeep {
		for i := range t.counts {
			c := &t.counts[i]
			c.Add(-(c.Load() / 2))
		}
	}
}

func tailBucket(d time.Duration) int {
	n := min(max(uint64(max(d, 0)), 1<<tailFirst), 1<<tailLast-1)
	octave := bits.Len64(n) - 1
	within := n>>(octave-tailSplit) - 1<<tailSplit
	return (octave-tailFirst)<<tailSplit + int(within)
}

// tailEdge is the least latency of a bucket, in ns.
func tailEdge(i int) int64 {
	octave, within := i>>tailSplit+tailFirst, i&(1<<tailSplit-1)
	return int64(1<<tailSplit+within) << (octave - tailSplit)
}
