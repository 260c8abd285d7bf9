package fleet

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// The yardstick is one atomic add: on one core a deposit should cost at most
// two of them and a withdrawal five, while the fleet is at work behind them.
func BenchmarkHotPath(b *testing.B) {
	f := New(wallMemory(), 1, testLimits, hooks{})
	defer f.Close(b.Context())
	p := budget.Policy{Ratio: 0.1}
	busy, full, empty := mustBudget(b, f, "busy", p), mustBudget(b, f, "full", p), mustBudget(b, f, "empty", p)
	full.account.Bring(1 << 61)
	of := mustPerService(b, f, p, 10)
	var n atomic.Int64
	var iface budget.Budget = busy
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"atomic add", func() { n.Add(1) }},
		{"Deposit", busy.Deposit},
		{"Deposit by interface", func() { iface.Deposit() }},
		{"Withdraw granted", func() {
			if !full.Withdraw() {
				full.account.Bring(1 << 61)
			}
		}},
		{"Withdraw denied", func() { empty.Withdraw() }},
		{"PerService lookup and Deposit", func() { of("busy").Deposit() }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.f()
				}
			})
		})
	}
}

// What a round costs the process, by the number of budgets it looks at.
func BenchmarkRound(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n, " budgets"), func(b *testing.B) {
			s := newSyncer(testLimits, 1, rand.New(rand.NewPCG(1, 1)))
			for i := range n {
				s.join(newBudget(fmt.Sprint(i), fmt.Sprint(i), 0, budget.Policy{Ratio: 0.1}.Filled(), s.wake))
			}
			var now time.Duration
			m := NewMemory(func() float64 { return float64(now.Microseconds()) })
			b.ReportAllocs()
			for b.Loop() {
				now += testLimits.Min
				for _, c := range s.begin(now) {
					answers, _ := m.Settle(b.Context(), &c.Exchange)
					s.end(c, now, answers, nil)
				}
			}
		})
	}
}
