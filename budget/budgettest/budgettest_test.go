package budgettest

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

var policy = budget.Policy{Ratio: 0.2, MinPerSecond: 1, Hold: 500 * time.Millisecond, Pool: time.Second}

type funcs struct {
	deposit  func()
	withdraw func() bool
}

func (f funcs) Deposit()       { f.deposit() }
func (f funcs) Withdraw() bool { return f.withdraw() }

type greedy struct{ budget.Budget }

func (g greedy) Refund() { g.Deposit() } // a refund that is too small

func local(t *testing.T) budget.Budget {
	l, err := budget.NewLocal(policy)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each broken budget must be caught by the check that is there for it.
func TestBrokenBudgetsAreCaught(t *testing.T) {
	for name, tt := range map[string]struct {
		check string
		make  func(t *testing.T) budget.Budget
	}{
		"grants everything": {"conservation", func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"grants everything, seen in a window": {"window", func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"saves without end": {"window", func(t *testing.T) budget.Budget {
			var n atomic.Int64
			return funcs{func() { n.Add(1) }, func() bool { return n.Add(-5) >= 0 || n.Add(5) < 0 }}
		}},
		"grants nothing": {"liveness", func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return false }}
		}},
		"deposits twice": {"conservation", func(t *testing.T) budget.Budget {
			l := local(t)
			return funcs{func() { l.Deposit(); l.Deposit() }, l.Withdraw}
		}},
		"waits for credit": {"nonblocking", func(t *testing.T) budget.Budget {
			l := local(t)
			return funcs{l.Deposit, func() bool {
				if l.Withdraw() {
					return true
				}
				time.Sleep(time.Millisecond)
				return l.Withdraw()
			}}
		}},
		"checks, then adds": {"concurrency", func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"refunds less": {"refund", func(t *testing.T) budget.Budget { return greedy{local(t)} }},
		"allocates": {"allocations", func(t *testing.T) budget.Budget {
			return funcs{func() { sink = new(int) }, func() bool { return false }}
		}},
	} {
		for _, c := range checks {
			if c.name != tt.check {
				continue
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					limited := tt.make
					if tt.check == "concurrency" || tt.check == "refund" {
						limited = func(t *testing.T) budget.Budget { return atMost(tt.make(t), 1e6) }
						if tt.check == "refund" {
							limited = tt.make
						}
					}
					if err := c.run(t, Config{New: limited, Policy: policy, Start: 3, Keep: 3}); err == nil {
						t.Errorf("%s: %s found nothing", name, tt.check)
					}
				})
			})
		}
	}
}

var sink *int

// atMost ends a budget that would grant for ever.
func atMost(b budget.Budget, n int64) budget.Budget {
	var granted atomic.Int64
	return funcs{b.Deposit, func() bool { return granted.Add(1) <= n && b.Withdraw() }}
}

func TestGoodBudgetPasses(t *testing.T) {
	Run(t, Config{New: local, Policy: policy, Start: 3, Keep: 3})
}
