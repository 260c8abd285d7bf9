package guard

import "time"

// A baseline is the running median of the latency of successes.
type baseline struct {
	latency float64 // ns
	seen    int     // successes, up to warm
	at      time.Duration
}

const warm = 20 // successes until a baseline and rates mean something

func (b *baseline) known() bool { return b.seen >= warm }

// add moves the baseline toward a latency. Steps are bounded per success and in
// time, so that a burst of slow responses does not become the baseline.
func (b *baseline) add(now, latency time.Duration) {
	step := min(0.02, 0.2*(now-b.at).Seconds())
	if !b.known() {
		b.seen++
		step = 0.2
	}
	b.at = now
	switch {
	case b.latency == 0:
		b.latency = float64(latency)
	case float64(latency) > b.latency:
		b.latency *= 1 + step
	default:
		b.latency *= 1 - step
	}
	b.latency = max(b.latency, float64(time.Microsecond))
}

// slow reports whether a latency is far above the baseline. What is short on the
// scale t is never slow.
func (b *baseline) slow(latency, t time.Duration) bool {
	return float64(latency) > max(5*b.latency, float64(t)/20)
}

// scale is the time after which a response is of no use: the limit of the attempt
// or, if it has none, a multiple of the baseline. A service that responds at once
// is not overloaded because a client that is itself slow runs out of time.
func (b *baseline) scale(limit time.Duration) time.Duration {
	if limit > 0 {
		return limit
	}
	return min(max(time.Duration(20*b.latency), time.Second), 30*time.Second)
}
