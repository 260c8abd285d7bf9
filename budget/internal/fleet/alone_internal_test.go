package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

func TestEarnAlone(t *testing.T) {
	known := ledger{policy: budget.Policy{MinPerSecond: 2}, last: Answer{Instances: 8}, learnt: 30 * s, heard: 40 * s, looked: 100 * s, active: 99 * s}
	for _, tt := range []struct {
		name    string
		change  func(*ledger)
		seconds float64
		want    float64 // tokens
	}{
		{"the part of one of eight", func(*ledger) {}, 2, 0.5},
		{"never above what may be kept", func(*ledger) {}, 60, 3},
		{"the fleet answers", func(l *ledger) { l.connected = true }, 2, 0},
		{"paused", func(l *ledger) { l.switched = 1 }, 2, 0},
		{"how many there are is not known yet", func(l *ledger) { l.heard = 29 * s }, 2, 0},
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
	plain := budget.Policy{Ratio: 0.05, MinPerSecond: 10}
	proved := budget.Policy{Ratio: 0.05, MinPerSecond: 10, Evidence: true}
	longer := budget.Policy{Ratio: 0.05, MinPerSecond: 10, Evidence: true, Hold: 2 * s, Pool: 4 * s}
	for name, tt := range map[string]struct {
		policy           budget.Policy
		n                int
		perSecond, fails float64
	}{
		"plain":                              {plain, 40, 0.5, 0.1},
		"with evidence":                      {proved, 40, 0.5, 0.1},
		"no ratio":                           {budget.Policy{MinPerSecond: 10}, 40, 0.5, 0.1},
		"often out of use":                   {plain, 200, 0.1, 0.2},
		"mostly out of use":                  {plain, 200, 0.02, 0.5},
		"as of transport, often out of use":  {longer, 200, 0.1, 0.2},
		"as of transport, mostly out of use": {longer, 200, 0.02, 0.5},
	} {
		if raced && tt.n > 40 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			testStoreAway(t, tt.policy, slices.Repeat([]caller{{tt.perSecond, tt.fails, budget.Admitted, jittered}}, tt.n))
		})
	}
}

func testStoreAway(t *testing.T, p budget.Policy, callers []caller) {
	bubble(t, func(t *testing.T) {
		const warm, long = 400 * s, 300 * s
		var stores []*broken
		m := wallMemory()
		for range callers {
			stores = append(stores, &broken{Store: m})
		}
		time.AfterFunc(warm-10*s, func() {
			for _, b := range stores {
				b.on.Store(true)
			}
		})
		of := func(i int) func(string) *Budget { return mustPerService(t, join(t, stores[i]), p, 10) }
		alone := sum(playWith(callers, warm, long, func(i int) func() shared {
			of := of(i)
			return func() shared { return of("api") }
		}))
		own := p
		own.MinPerSecond /= float64(len(callers))
		local := sum(playWith(callers, warm, long, func(int) func() shared {
			l, err := budget.NewLocal(own)
			if err != nil {
				t.Fatal(err)
			}
			return func() shared { return l }
		}))
		t.Logf("%d of %d are retried (%.3f), and %d of %d with local budgets (%.3f)", alone.retried, alone.failed, alone.share(), local.retried, local.failed, local.share())
		if alone.share() < local.share()-0.02 {
			t.Errorf("%.3f are retried while the store is away, and %.3f with local budgets", alone.share(), local.share())
		}
	})
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

// A process has a token for its next failure, also when it was out of use, and knows the
// fleet as before.
func TestTokenForTheNextFailure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  budget.Policy
		balance float64
	}{
		{"a floor", budget.Policy{Ratio: 0.01, MinPerSecond: 5}, 1},
		{"no floor that would replace it", budget.Policy{Ratio: 0.01}, 0},
		{"a floor that replaces it too late", budget.Policy{Ratio: 0.01, MinPerSecond: 0.1}, 0},
	} {
		bubble(t, func(t *testing.T) {
			store := &broken{Store: wallMemory()}
			of := mustPerService(t, join(t, store), tt.policy, 10)
			for range 60 {
				of("api").Deposit()
				time.Sleep(s)
			}
			time.Sleep(60 * s)
			store.on.Store(true)
			of("api").Deposit()
			if st := of("api").Stats(); math.Floor(st.Balance) != tt.balance || st.Learning {
				t.Errorf("%s: %.2f tokens after a minute out of use, learning %v, want %v and known", tt.name, st.Balance, st.Learning, tt.balance)
			}
		})
	}
}
