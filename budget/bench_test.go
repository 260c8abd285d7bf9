package budget_test

import (
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/account"
)

// The yardstick is one atomic add: a deposit should cost at most two of them
// and a withdrawal five, on one core.
func BenchmarkHotPath(b *testing.B) {
	account := func(balance int64) *account.Account {
		a := account.New(0.1, false, nil)
		a.SetCeiling(1 << 62)
		a.Bring(balance)
		return a
	}
	var n atomic.Int64
	deposits, full, empty := account(0), account(1<<61), account(0)
	local, _ := budget.NewLocal(budget.Policy{Ratio: 0.1})
	of, _ := budget.PerService(budget.Policy{Ratio: 0.1}, 16)
	var iface budget.Budget = local
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"atomic add", func() { n.Add(1) }},
		{"Deposit", deposits.Deposit},
		{"Withdraw granted", func() { full.Withdraw() }},
		{"Withdraw denied", func() { empty.Withdraw() }},
		{"Local Deposit by interface", func() { iface.Deposit() }},
		{"PerService lookup and Deposit", func() { of("api.test").Deposit() }},
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
