package fleet

import (
	"sync/atomic"
	"time"
)

const (
	// soonest is how long a woken exchange waits at most, so that the many
	// which one failure wakes do not come at once.
	soonest = 20 * time.Millisecond
	// probeEvery bounds the time between attempts to reach a lost shard.
	probeEvery = time.Second
	// AnswerIn is how long an exchange may take.
	AnswerIn = 500 * time.Millisecond
	// stillEvery is how often budgets are looked at where nothing happens. A
	// refusal ends that at once.
	stillEvery = time.Second
	// spread is how far an interval may be off, as a part of it.
	spread = 0.15
	// burst is how many rounds may follow each other without a pause.
	burst = 3
)

// Limits bound how often a process talks to the fleet.
type Limits struct {
	Min, Max time.Duration // between exchanges: of a small fleet whose calls fail, and of a quiet budget
	Rate     float64       // calls per second of all processes
}

// interval is the time between exchanges of each of the instances.
func (l Limits) interval(instances float64) time.Duration {
	seconds := min(instances/l.Rate, l.Max.Seconds())
	return min(max(time.Duration(seconds*float64(time.Second)), l.Min), l.Max)
}

// pace is the mean time between rounds of a process, whatever it has to say:
// three in a second with the default interval.
func (l Limits) pace() time.Duration { return l.Min * 17 / 10 }

// A shard is a part of the budgets whose keys are in one slot of a cluster.
// They share a rhythm, so that one call can carry them.
type shard struct {
	budgets  []*Budget
	woken    atomic.Bool
	started  bool
	due      time.Duration
	last     time.Duration // when it last sent calls
	interval time.Duration
	fleet    float64 // the most processes that share one of the budgets
	inFlight int
	stuck    int
	failing  bool
	still    bool // nothing happened in the last interval
	found    bool // just now, after it was failing
	backoff  time.Duration
}

// urgency orders shards that are due.
func (h *shard) urgency() int {
	switch {
	case h.failing || h.found:
		return 2
	case h.woken.Load():
		return 1
	}
	return 0
}

// crowd is over how long the calls should be spread that one failure wakes, at
// fifty in a millisecond.
func (h *shard) crowd() time.Duration {
	if h.fleet < 1 {
		return soonest
	}
	return min(time.Duration(h.fleet*float64(time.Millisecond)/50), soonest)
}

// wokenAt is when a woken shard may speak: soon, but in a large fleet at most
// twice in an interval. In a small one the pace is bound enough.
func (s *syncer) wokenAt(h *shard, now time.Duration) time.Duration {
	jitter := time.Duration(s.rand.Float64() * float64(h.crowd()))
	gap := h.interval / 2
	if h.interval == s.limits.Min {
		gap = h.interval / 8
	}
	return max(now+jitter, h.last+gap)
}

func (s *syncer) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + spread*(2*s.rand.Float64()-1)))
}
