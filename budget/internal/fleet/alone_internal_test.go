package fleet

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

func TestEarnAlone(t *testing.T) {
	known := ledger{policy: budget.Policy{MinPerSecond: 2}, last: Answer{Instances: 8}, learnt: 30 * s, saidAt: 40 * s, looked: 100 * s, active: 99 * s}
	for _, tt := range []struct {
		name    string
		change  func(*ledger)
		seconds float64
		want    float64 // tokens
	}{
		{"the part of one of eight", func(*ledger) {}, 2, 0.5},
		{"no more than is kept", func(*ledger) {}, 60, 3},
		{"the fleet answers", func(l *ledger) { l.connected = true }, 2, 0},
		{"paused", func(l *ledger) { l.switched = 1 }, 2, 0},
		{"how many there are is not known yet", func(l *ledger) { l.saidAt = 29 * s }, 2, 0},
		{"nobody has ever answered", func(l *ledger) { l.learnt = 0 }, 2, 0},
		{"out of use", func(l *ledger) { l.looked = 400 * s }, 2, 0},
		{"no floor", func(l *ledger) { l.policy = budget.Policy{Ratio: 1} }, 2, 0},
		{"fewer than one, as after a long silence", func(l *ledger) { l.last.Instances = 0.1 }, 0.2, 0.4},
	} {
		l := known
		l.account = newBudget("api", "api", 0, l.policy, func(*Budget) {}).account
		tt.change(&l)
		l.earnAlone(tt.seconds)
		if got := float64(l.account.Books().Balance) / token; math.Abs(got-tt.want) > rounding || got != l.alone {
			t.Errorf("%s: earned %v tokens, noted %v, want %v", tt.name, got, l.alone, tt.want)
		}
	}
}

// Processes with few calls still retry those that fail while nobody can reach the
// store, and all together no more than the floor and their ratio pay for.
func TestStoreAway(t *testing.T) {
	for _, p := range []budget.Policy{
		{Ratio: 0.05, MinPerSecond: 10},
		{Ratio: 0.05, MinPerSecond: 10, Evidence: true},
		{MinPerSecond: 10},
	} {
		bubble(t, func(t *testing.T) {
			const n = 40
			stores := make([]*broken, n)
			m := wallMemory()
			var callers []caller
			for i := range stores {
				stores[i] = &broken{Store: m}
				callers = append(callers, caller{0.5, 0.1, budget.Admitted, jittered})
			}
			time.AfterFunc(50*s, func() {
				for _, b := range stores {
					b.on.Store(true)
				}
			})
			got := sum(play(t, func(i int) Store { return stores[i] }, p, callers, 60*s, 300*s))
			t.Logf("%+v: %d of %d are retried (%.3f)", p, got.retried, got.failed, got.share())
			own := p
			own.MinPerSecond /= n
			local := sum(playWith(callers, 60*s, 300*s, func(int) shared {
				l, err := budget.NewLocal(own)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}))
			t.Logf("local budgets: %d of %d (%.3f)", local.retried, local.failed, local.share())
			if got.share() < local.share()-0.02 {
				t.Errorf("%+v: %.3f are retried while the store is away, and %.3f with local budgets", p, got.share(), local.share())
			}
		})
	}
}

// However often processes lose the store, they earn alone no more than the floor of
// the time that they were cut off.
func TestAloneWithinTheFloor(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			const n = 10
			p := budget.Policy{Ratio: 0.01, MinPerSecond: 5}
			r := rand.New(rand.NewPCG(seed, 1))
			m := wallMemory()
			var fleets []*Fleet
			var budgets []*Budget
			stores := make([]*broken, n)
			for i := range stores {
				stores[i] = &broken{Store: m}
				fleets = append(fleets, join(t, stores[i]))
				budgets = append(budgets, mustBudget(t, fleets[i], "api", p))
			}
			cut := 0.0 // process-seconds
			for range 600 {
				for i, b := range budgets {
					b.Deposit()
					b.Withdraw()
					if r.IntN(50) == 0 {
						stores[i].on.Store(!stores[i].on.Load() && time.Since(fleets[0].started) > 60*s)
					}
					if stores[i].on.Load() {
						cut += 0.2
					}
				}
				time.Sleep(200 * time.Millisecond)
			}
			alone := 0.0
			for _, b := range budgets {
				b.mu.Lock()
				alone += b.ledger.alone
				b.mu.Unlock()
			}
			// A process finds out with its next exchange that the store is back.
			bound := p.MinPerSecond * (cut + n*5) / n * 1.2
			if alone > bound || alone == 0 {
				t.Errorf("seed %d: %.1f tokens earned alone in %.0f process-seconds, want some and at most %.1f", seed, alone, cut, bound)
			}
		})
	}
}
