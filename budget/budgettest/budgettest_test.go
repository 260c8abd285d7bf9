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

// told is a budget that is told what retries come to, by way of some funcs.
type told struct {
	*budget.Local
	settle      func(*budget.Local, budget.Outcome)
	withdrawFor func(l *budget.Local, attempt int) bool
}

func (b told) Settle(o budget.Outcome) {
	if b.settle == nil {
		b.Local.Settle(o)
		return
	}
	b.settle(b.Local, o)
}

func (b told) WithdrawFor(attempt int) bool {
	if b.withdrawFor == nil {
		return b.Local.WithdrawFor(attempt)
	}
	return b.withdrawFor(b.Local, attempt)
}

// A hoard keeps what retries that help bring, however much that comes to.
type hoard struct {
	*budget.Local
	saved atomic.Int64
}

func (h *hoard) Settle(o budget.Outcome) {
	if o == budget.Helped {
		h.saved.Add(2)
		return
	}
	h.Local.Settle(o)
}

func (h *hoard) Withdraw() bool {
	if h.Local.Withdraw() {
		return true
	}
	if h.saved.Add(-1) >= 0 {
		return true
	}
	h.saved.Add(1)
	return false
}

func (h *hoard) WithdrawFor(int) bool { return h.Withdraw() }

var evidencePolicy = budget.Policy{Ratio: 0.2, MinPerSecond: 1, Hold: 500 * time.Millisecond, Pool: time.Second, Evidence: true}

// settles returns a maker of budgets with Evidence that settle in their own way.
func settles(settle func(*budget.Local, budget.Outcome)) func(*testing.T) budget.Budget {
	return func(t *testing.T) budget.Budget { return told{Local: local(t, evidencePolicy), settle: settle} }
}

// asks returns a maker of budgets that are asked in their own way.
func asks(p budget.Policy, withdrawFor func(*budget.Local, int) bool) func(*testing.T) budget.Budget {
	return func(t *testing.T) budget.Budget { return told{Local: local(t, p), withdrawFor: withdrawFor} }
}

// instead settles as if the outcome from had been the outcome to.
func instead(from, to budget.Outcome) func(*testing.T) budget.Budget {
	return settles(func(l *budget.Local, o budget.Outcome) {
		if o == from {
			o = to
		}
		l.Settle(o)
	})
}

type promising struct{ *budget.Local }

func (promising) Affords(int) bool { return true }

type greedy struct{ budget.Budget }

func (g greedy) Refund() { g.Deposit() } // a refund that is too small

func local(t *testing.T, p budget.Policy) *budget.Local {
	l, err := budget.NewLocal(p)
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
		// of the budget; policy if it is not set
		policy budget.Policy
	}{
		"grants everything": {check: "conservation", make: func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"grants everything, seen in a window": {check: "window", make: func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"saves without end": {check: "window", make: func(t *testing.T) budget.Budget {
			var n atomic.Int64
			return funcs{func() { n.Add(1) }, func() bool { return n.Add(-5) >= 0 || n.Add(5) < 0 }}
		}},
		"grants nothing": {check: "liveness", make: func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return false }}
		}},
		"deposits twice": {check: "conservation", make: func(t *testing.T) budget.Budget {
			l := local(t, policy)
			return funcs{func() { l.Deposit(); l.Deposit() }, l.Withdraw}
		}},
		"waits for credit": {check: "nonblocking", make: func(t *testing.T) budget.Budget {
			l := local(t, policy)
			return funcs{l.Deposit, func() bool {
				if l.Withdraw() {
					return true
				}
				time.Sleep(time.Millisecond)
				return l.Withdraw()
			}}
		}},
		"checks, then adds": {check: "concurrency", make: func(t *testing.T) budget.Budget {
			return funcs{func() {}, func() bool { return true }}
		}},
		"refunds less": {check: "refund", make: func(t *testing.T) budget.Budget { return greedy{local(t, policy)} }},
		"allocates": {check: "allocations", make: func(t *testing.T) budget.Budget {
			return funcs{func() { sink = new(int) }, func() bool { return false }}
		}},
		"settles twice": {"conservation", settles(func(l *budget.Local, o budget.Outcome) {
			l.Settle(o)
			l.Settle(o)
		}), evidencePolicy},
		"repays waste, seen over time": {"conservation", instead(budget.Wasted, budget.Helped), evidencePolicy},
		"saves interest without end": {"window", func(t *testing.T) budget.Budget {
			return &hoard{Local: local(t, evidencePolicy)}
		}, evidencePolicy},
		"earns nothing by success": {"liveness", instead(budget.Unaided, budget.Wasted), evidencePolicy},
		"thinks about what a retry came to": {"nonblocking", settles(func(l *budget.Local, o budget.Outcome) {
			time.Sleep(time.Millisecond)
			l.Settle(o)
		}), evidencePolicy},
		"repays thrice": {"concurrency", func(t *testing.T) budget.Budget {
			var left atomic.Int64 // or it would grant for ever
			left.Store(10_000)
			return told{Local: local(t, evidencePolicy), settle: func(l *budget.Local, o budget.Outcome) {
				l.Settle(o)
				if o == budget.Helped && left.Add(-1) >= 0 {
					l.Refund()
				}
			}}
		}, evidencePolicy},
		"remembers what retries came to": {"allocations", settles(func(l *budget.Local, o budget.Outcome) {
			sink = new(int)
			l.Settle(o)
		}), evidencePolicy},
		"pays for failures": {"evidence", func(t *testing.T) budget.Budget {
			p := evidencePolicy
			p.Evidence = false
			return local(t, p)
		}, evidencePolicy},
		"pays back what was wasted": {"evidence", instead(budget.Wasted, budget.Admitted), evidencePolicy},
		"settles without Evidence": {"evidence", func(t *testing.T) budget.Budget {
			l := local(t, policy)
			return told{Local: l, settle: func(l *budget.Local, o budget.Outcome) {
				if o == budget.Helped {
					l.Refund()
				}
			}}
		}, policy},
		"is not told": {"evidence", func(t *testing.T) budget.Budget {
			l := local(t, evidencePolicy)
			return funcs{l.Deposit, l.Withdraw}
		}, evidencePolicy},
		"repays waste":                {"repayment", instead(budget.Wasted, budget.Admitted), evidencePolicy},
		"pays interest on refusals":   {"repayment", instead(budget.Admitted, budget.Helped), evidencePolicy},
		"pays no interest":            {"repayment", instead(budget.Helped, budget.Admitted), evidencePolicy},
		"does not repay":              {"repayment", instead(budget.Admitted, budget.Wasted), evidencePolicy},
		"promises what it refuses":    {"attempts", func(t *testing.T) budget.Budget { return promising{local(t, policy)} }, policy},
		"takes what it refuses":       {"attempts", asks(evidencePolicy, takeAnyway), evidencePolicy},
		"treats all attempts alike":   {"attempts", asks(evidencePolicy, alike), evidencePolicy},
		"holds back without Evidence": {"attempts", asks(policy, holdBack), policy},
	} {
		for _, c := range checks {
			if c.name != tt.check {
				continue
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					limited := tt.make
					if (tt.check == "concurrency" || tt.check == "refund") && !tt.policy.Evidence {
						limited = func(t *testing.T) budget.Budget { return atMost(tt.make(t), 1e6) }
						if tt.check == "refund" {
							limited = tt.make
						}
					}
					p := tt.policy
					if p == (budget.Policy{}) {
						p = policy
					}
					err := c.run(t, Config{New: limited, Policy: p, Start: 3, Keep: 3})
					if err == nil {
						t.Errorf("%s: %s found nothing", name, tt.check)
					}
					t.Log(err)
				})
			})
		}
	}
}

var sink *int

// takeAnyway keeps the token of a retry that it refuses.
func takeAnyway(l *budget.Local, attempt int) bool {
	if l.WithdrawFor(attempt) {
		return true
	}
	l.Withdraw()
	return false
}

func alike(l *budget.Local, _ int) bool { return l.Withdraw() }

func holdBack(l *budget.Local, attempt int) bool {
	return l.Stats().Balance > float64(attempt) && l.Withdraw()
}

// atMost ends a budget that would grant for ever.
func atMost(b budget.Budget, n int64) budget.Budget {
	var granted atomic.Int64
	return funcs{b.Deposit, func() bool { return granted.Add(1) <= n && b.Withdraw() }}
}

func TestGoodBudgetPasses(t *testing.T) {
	for _, p := range []budget.Policy{policy, evidencePolicy} {
		Run(t, Config{New: func(t *testing.T) budget.Budget { return local(t, p) }, Policy: p, Start: 3, Keep: 3})
	}
}
