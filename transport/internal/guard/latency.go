package guard

import (
	"slices"
	"time"
)

// latency is what is known of how long successes take.
type latency struct {
	typical float64       // running median, ns
	recent  float64       // mean of the last few, ns
	work    float64       // the same without the wait that the service tells of, ns
	least   time.Duration // since the window was cut to next to nothing; 0: unknown
	seen    int           // successes, up to warm
	at      time.Duration
}

const warm = 20 // successes until typical means something

func (l *latency) known() bool { return l.seen >= warm }

// add moves typical toward a latency. Steps are bounded per success and in time,
// so that a burst of slow responses does not become typical. While the limiter
// is engaged typical stays, or the queue that the window allows would become
// typical and the window would follow it.
func (l *latency) add(now, d, queued time.Duration, engaged bool) {
	l.recent += (float64(d) - l.recent) / 4
	l.work += (float64(d-queued) - l.work) / 4
	if engaged && l.known() {
		return
	}
	step := min(0.02, 0.2*(now-l.at).Seconds())
	if !l.known() {
		l.seen++
		step = 0.2
	}
	l.at = now
	switch {
	case l.typical == 0:
		l.typical = float64(d)
	case float64(d) > l.typical:
		l.typical *= 1 + step
	default:
		l.typical *= 1 - step
	}
	l.typical = max(l.typical, float64(time.Microsecond))
}

// expected is how long an attempt has to be given if it is to succeed. The wait that the
// service tells of is not in it: a client that added it would give up its urgent calls, and
// the service serves urgent calls first, so that the client would wait all the longer.
func (l *latency) expected(t time.Duration) time.Duration {
	return min(t, max(time.Duration(2*l.typical), time.Duration(1.5*l.work), l.least))
}

// last is how long the last few successes took.
type last struct {
	took [enough]time.Duration
	n    int
}

// fastest adds a success, and returns what the fastest of the last few took. While there
// are fewer it is the one that came.
func (f *last) fastest(took time.Duration) time.Duration {
	f.took[f.n%enough] = took
	if f.n++; f.n < enough {
		return took
	}
	return slices.Min(f.took[:])
}

// A Scale is how much time a call gives its attempts.
type Scale struct {
	T time.Duration // after which a response is of no use
	// Brief reports that T is so short that running out of it proves nothing.
	Brief bool
}

const (
	leastGuess = time.Second
	mostGuess  = 30 * time.Second
)

// Scale returns the scale of a call whose attempts have the given limit, or none
// if that is 0, and that may take left in all, or any time if that is 0.
func (l *Limiter) Scale(limit, left time.Duration) Scale {
	s := Scale{T: limit}
	if limit == 0 {
		s.T = min(max(time.Duration(20*l.latency.typical), leastGuess), mostGuess)
	}
	if left != 0 && left < s.T {
		return Scale{T: left, Brief: !l.latency.known() || float64(left) < 5*l.latency.typical}
	}
	return s
}

// Slow reports whether a latency is far above what is typical. What is short on
// the scale is never slow.
func (l *Limiter) Slow(d time.Duration, s Scale) bool {
	return float64(d) > max(5*l.latency.typical, float64(s.T)/20)
}
