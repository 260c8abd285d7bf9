package limiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever completes, in whatever order, the limit is a number within its
// bounds, and so is what it rests on.
func TestLimitIsANumber(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		a := newAdaptiveLimit(2, 1000)
		now := time.Duration(r.Int64N(int64(time.Hour)))
		routes := []string{"", "/a", "/b"}
		for phase := range 20 {
			gone, failed, load := r.Float64(), r.Float64()/2, 1+r.IntN(2000)
			if phase%3 == 0 {
				gone = float64(r.IntN(2)) // all of them, or none
			}
			mean := time.Duration(1) << r.IntN(34)
			for range r.IntN(300) {
				now += time.Duration(r.ExpFloat64() * float64(time.Second) / float64(load))
				took := time.Duration(r.ExpFloat64() * float64(mean))
				if r.IntN(4) == 0 {
					a.shed(r.IntN(5))
				}
				if r.IntN(9) == 0 {
					a.short(now)
				}
				outcome := Served
				switch {
				case r.Float64() < gone:
					outcome = Gone
				case r.Float64() < failed:
					outcome = Failed
				}
				a.completed(Completion{
					At: now, Took: min(took, now), InFlight: 1 + r.IntN(1+int(a.limit)), Waiting: r.IntN(9) == 0,
					Slot: Slot{Weight: uint8(1 + r.IntN(16)), First: r.IntN(2) == 0}, Outcome: outcome, Route: routes[r.IntN(3)],
				}, r.IntN(3))
				if !(a.limit >= a.min && a.limit <= a.max) {
					t.Fatalf("seed %d: the limit is %v", seed, a.limit)
				}
				for name, v := range map[string]float64{"baseline": a.baseline, "work": a.work, "asked": a.asked, "peak": a.calm.peak, "level": a.calm.level, "most": a.calm.most, "patience": a.patience.known(), "base": a.trials.base, "latency": a.latency} {
					if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
						t.Fatalf("seed %d: %s is %v", seed, name, v)
					}
				}
			}
		}
	}
}
