package limiter

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

func steady(rate float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return rate }
}

// steps is a rate, until when, the next rate, until when, and so on.
func steps(parts ...float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		for i := 0; i+1 < len(parts); i += 2 {
			if at.Seconds() < parts[i+1] {
				return parts[i]
			}
		}
		return parts[len(parts)-2]
	}
}

type workOf = func(at time.Duration, r *rand.Rand) time.Duration

func exponential(mean time.Duration) workOf {
	return func(_ time.Duration, r *rand.Rand) time.Duration {
		return time.Duration(r.ExpFloat64() * float64(mean))
	}
}

func constant(d time.Duration) workOf {
	return func(time.Duration, *rand.Rand) time.Duration { return d }
}

// mixed is slow for a share of the requests.
func mixed(share float64, quick, slow workOf) workOf {
	return func(at time.Duration, r *rand.Rand) time.Duration {
		if r.Float64() < share {
			return slow(at, r)
		}
		return quick(at, r)
	}
}

// changes is one work until a moment, and then another.
func changes(at time.Duration, before, after workOf) workOf {
	return func(now time.Duration, r *rand.Rand) time.Duration {
		if now < at {
			return before(now, r)
		}
		return after(now, r)
	}
}

// lateBy adds between two latencies.
func lateBy(from, to time.Duration, w workOf) workOf {
	return func(at time.Duration, r *rand.Rand) time.Duration {
		return w(at, r) + from + time.Duration(r.Float64()*float64(to-from))
	}
}

func lognormal(median time.Duration, sigma float64) workOf {
	return func(_ time.Duration, r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	}
}

func poolOf(n int) func() []place { return func() []place { return []place{newPool(n)} } }

// changing is a pool of n workers, of another number between two moments.
func changing(n, other int, from, to time.Duration) func() []place {
	return func() []place {
		return []place{&pool{workers: func(at time.Duration) int {
			if at >= from && at < to {
				return other
			}
			return n
		}}}
	}
}

// pausing is a pool that stands still for part of each period.
func pausing(n int, period, still, until time.Duration) func() []place {
	return func() []place {
		return []place{&pool{workers: func(at time.Duration) int {
			if at > 8*sec && at < until && at%period < still {
				return 0
			}
			return n
		}}}
	}
}
