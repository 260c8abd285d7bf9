package budget_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// Services without room share a budget. That of one service would be spent by
// the first that fails, so it is as large as those of all others together, and
// no larger.
func TestServicesWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1024
		s, err := budget.NewServices(budget.Policy{
			Ratio: 0.05, MinPerSecond: 1, Evidence: true, Hold: 2 * time.Second, Pool: 4 * time.Second,
		}, limit)
		if err != nil {
			t.Fatal(err)
		}
		retry := func(name string, attempt int) bool {
			b := s.Budget(name).(*budget.Local)
			b.Deposit()
			return b.WithdrawFor(attempt)
		}
		for i := range 1500 { // two retries each, in vain
			retry(fmt.Sprint("dead", i), 2)
			retry(fmt.Sprint("dead", i), 3)
		}
		for i := range 50 {
			if !retry(fmt.Sprint("healthy", i), 2) {
				t.Fatalf("no retry for new service %d, want one", i)
			}
		}
		granted := 0
		flood := func() {
			for i := range 100_000 {
				if retry(fmt.Sprint("flood", i), 2) {
					granted++
				}
			}
		}
		flood()
		if most := 6 * limit; granted == 0 || granted > most {
			t.Errorf("%d retries for a flood of names, want at most the %d of 1024 services", granted, most)
		}
		granted = 0
		time.Sleep(3 * time.Second)
		flood()
		// The dead made room for as many, of which each has a budget of its own.
		if granted < 3*limit || granted > (3+1)*limit {
			t.Errorf("%d retries after 3s, want about %d", granted, (3+1)*limit)
		}
		n := 0
		for range s.All() {
			n++
		}
		if n != limit+1 {
			t.Errorf("%d budgets, want %d and the shared one", n, limit)
		}
	})
}

// The policy of the shared budget is valid whatever the limit is.
func TestServicesWithoutRoomOfALargeSet(t *testing.T) {
	for _, p := range []budget.Policy{{MinPerSecond: 1e9}, {Ratio: 0.1}, {Ratio: 0.1, MinPerSecond: 1e6}} {
		s, err := budget.NewServices(p, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		b := s.Budget(strings.Repeat("long", 1000))
		for range 100 {
			b.Deposit()
		}
		if !b.Withdraw() {
			t.Errorf("%+v: no retry for a service whose name is too long, want one", p)
		}
	}
}
