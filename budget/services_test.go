package budget_test

import (
	"fmt"
	"testing"

	"github.com/datapunk/evenkeel/budget"
)

func TestServicesAll(t *testing.T) {
	s, err := budget.NewServices(budget.Policy{MinPerSecond: 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // of which the last two share one
		b := s.Budget(fmt.Sprint("service", i))
		for range i + 1 {
			b.Withdraw()
		}
	}
	got := make(map[string]budget.Stats)
	var last string
	for name, stats := range s.All() {
		got[name], last = stats, name
	}
	if len(got) != 3 || got["service0"].Spent != 1 || got["service1"].Spent != 2 {
		t.Errorf("budgets %+v, want service0 with 1 spent, service1 with 2 and a shared one", got)
	}
	if shared := got["(other services)"]; shared.Spent+float64(shared.Denied) != 3+4 || last != "(other services)" {
		t.Errorf("shared budget %+v, want 7 withdrawals, and last", shared)
	}
	for range s.All() {
		break // must not go on to the shared one
	}
	n := 0
	for range s.All() {
		n++
		if n == 2 {
			break
		}
	}
}

// A counter of withdrawals can be made of the two: it never falls.
func TestRefundedIsNotTakenOffWhatWasGranted(t *testing.T) {
	l, err := budget.NewLocal(budget.Policy{MinPerSecond: 1})
	if err != nil {
		t.Fatal(err)
	}
	l.Withdraw()
	l.Withdraw()
	l.Refund()
	s := l.Stats()
	if s.Spent != 1 || s.Refunded != 1 || s.Balance != 2 {
		t.Errorf("spent %v, refunded %v, balance %v; want 1, 1, 2", s.Spent, s.Refunded, s.Balance)
	}
}
