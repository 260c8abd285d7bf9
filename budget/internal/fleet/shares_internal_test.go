package fleet

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// A tally is what became of the calls of a process that failed.
type tally struct{ failed, retried int }

func (t tally) share() float64 { return float64(t.retried) / float64(max(t.failed, 1)) }

// A caller is a process: its calls fail by chance, and it asks for a retry at once and
// after the wait before it.
type caller struct {
	perSecond, fails float64
	outcome          budget.Outcome // of its retries
	wait             func(*rand.Rand) time.Duration
}

// play has callers call for so long, and returns what became of each. The first part of
// the time does not count.
func play(t *testing.T, stores func(i int) Store, p budget.Policy, callers []caller, warm, long time.Duration) []tally {
	t.Helper()
	return playWith(callers, warm, long, func(i int) func() shared {
		of := mustPerService(t, join(t, stores(i)), p, 10)
		return func() shared { return of("api") } // for each call, as package transport does
	})
}

// shared is what a caller uses of a budget.
type shared interface {
	budget.Budget
	budget.Pricer
	budget.Settler
}

func playWith(callers []caller, warm, long time.Duration, budgets func(i int) func() shared) []tally {
	tallies := make([]tally, len(callers))
	var all sync.WaitGroup
	start := time.Now()
	for i, c := range callers {
		of := budgets(i)
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			var mu sync.Mutex
			for time.Since(start) < warm+long {
				time.Sleep(time.Duration(r.ExpFloat64() / c.perSecond * 1e9))
				b := of()
				b.Deposit()
				if r.Float64() >= c.fails {
					b.Settle(budget.Unaided)
					continue
				}
				wait := c.wait(r)
				all.Go(func() {
					ok := b.WithdrawFor(2)
					time.Sleep(wait)
					ok = ok || b.WithdrawFor(2)
					if f, has := b.(budget.Fetcher); !ok && has && f.Fetching() != nil { // as package transport does
						select {
						case <-f.Fetching():
							ok = b.WithdrawFor(2)
						case <-time.After(100 * time.Millisecond):
						}
					}
					if ok {
						b.Settle(c.outcome)
					}
					mu.Lock()
					defer mu.Unlock()
					if time.Since(start) > warm {
						tallies[i].failed++
						if ok {
							tallies[i].retried++
						}
					}
				})
			}
		})
	}
	all.Wait()
	return tallies
}

func sum(all []tally) (s tally) {
	for _, t := range all {
		s.failed += t.failed
		s.retried += t.retried
	}
	return s
}

func jittered(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * 1e8) }

func tenth(*rand.Rand) time.Duration { return 100 * time.Millisecond }

// One process whose calls all fail must not take the retries of those whose calls fail
// now and then.
func TestOneBrokenProcess(t *testing.T) {
	for _, tt := range []struct {
		name            string
		policy          budget.Policy
		healthy, broken caller
		n, loud         int
	}{
		{"as of transport, 10/s", budget.Policy{Ratio: 0.05, MinPerSecond: 10, Evidence: true, Hold: 2 * s, Pool: 4 * s},
			caller{2, 0.05, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 40, 1},
		{"as of transport, 1/s", budget.Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true, Hold: 2 * s, Pool: 4 * s},
			caller{2, 0.02, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 40, 1},
		{"no evidence", budget.Policy{Ratio: 0.1, MinPerSecond: 10},
			caller{2, 0.05, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 40, 1},
		{"no ratio", budget.Policy{MinPerSecond: 20},
			caller{2, 0.05, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 40, 1},
		{"three are broken", budget.Policy{Ratio: 0.1, MinPerSecond: 10},
			caller{2, 0.05, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 40, 3},
		{"few of many calls fail", budget.Policy{Ratio: 0.1, MinPerSecond: 10},
			caller{20, 0.005, budget.Admitted, tenth}, caller{500, 1, budget.Wasted, tenth}, 40, 1},
		{"rare callers alone", budget.Policy{Ratio: 0.1, MinPerSecond: 10},
			caller{0.1, 0.5, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 100, 0},
		{"rare callers", budget.Policy{Ratio: 0.1, MinPerSecond: 10},
			caller{0.1, 0.5, budget.Admitted, tenth}, caller{50, 1, budget.Wasted, tenth}, 100, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := wallMemory()
				var callers []caller
				for range tt.n {
					callers = append(callers, tt.healthy)
				}
				for range tt.loud {
					callers = append(callers, tt.broken)
				}
				long := 60 * s
				if tt.healthy.perSecond < 1 {
					long = 600 * s // of fewer failures, chance is as much as the margin
				}
				got := play(t, func(int) Store { return m }, tt.policy, callers, 10*s, long)
				healthy, broken := sum(got[:tt.n]), sum(got[tt.n:])
				t.Logf("%-24s healthy: %d of %d (%.3f); broken: %d of %d", tt.name, healthy.retried, healthy.failed, healthy.share(), broken.retried, broken.failed)
				if healthy.share() < 0.95 {
					t.Errorf("%s: %.3f of the healthy processes' failures are retried, want 0.95", tt.name, healthy.share())
				}
			})
		})
	}
}

// Where the fleet has plenty, few retries are refused although the store is far away.
func TestStoreFarAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		trip   time.Duration
		policy budget.Policy
		wait   func(*rand.Rand) time.Duration
	}{
		{"1 ms", time.Millisecond, budget.Policy{Ratio: 0.05, MinPerSecond: 20}, jittered},
		{"30 ms", 30 * time.Millisecond, budget.Policy{Ratio: 0.05, MinPerSecond: 20}, jittered},
		{"60 ms", 60 * time.Millisecond, budget.Policy{Ratio: 0.05, MinPerSecond: 20}, jittered},
		{"60 ms, evidence", 60 * time.Millisecond, budget.Policy{Ratio: 0.05, MinPerSecond: 20, Evidence: true}, jittered},
		{"60 ms, no ratio", 60 * time.Millisecond, budget.Policy{MinPerSecond: 20}, jittered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := wallMemory()
				var callers []caller
				for range 60 {
					callers = append(callers, caller{0.5, 0.1, budget.Admitted, tt.wait})
				}
				got := sum(play(t, func(int) Store { return slow{m, tt.trip} }, tt.policy, callers, 10*s, 120*s))
				t.Logf("%-18s %d of %d are refused (%.3f)", tt.name, got.failed-got.retried, got.failed, 1-got.share())
				if got.share() < 0.97 {
					t.Errorf("%s: %.3f are refused, want at most 0.03", tt.name, 1-got.share())
				}
			})
		})
	}
}
