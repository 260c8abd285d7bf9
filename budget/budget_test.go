package budget_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/budgettest"
)

func newLocal(t testing.TB, p budget.Policy) *budget.Local {
	t.Helper()
	l, err := budget.NewLocal(p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestConformance(t *testing.T) {
	const hold, pool = 500 * time.Millisecond, time.Second
	for _, tt := range []struct {
		name        string
		policy      budget.Policy
		start, keep float64
	}{
		{"ratio and floor", budget.Policy{Ratio: 0.2, MinPerSecond: 1, Hold: hold, Pool: pool}, 3, 3},
		{"ratio alone", budget.Policy{Ratio: 0.1, Hold: hold, Pool: pool}, 0, 1},
		{"quota", budget.Policy{MinPerSecond: 50, Hold: hold, Pool: pool}, 75, 75},
		{"odd ratio", budget.Policy{Ratio: 0.333333, MinPerSecond: 0.5, Hold: hold, Pool: 3 * pool}, 3, 3},
		{"more than one retry a request", budget.Policy{Ratio: 2.5, Hold: hold, Pool: pool}, 0, 1},
		{"evidence", budget.Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true, Hold: 4 * hold, Pool: 4 * pool}, 6, 6},
		{"proportional", budget.Default(), 6, 6},
		{"evidence alone", budget.Policy{Ratio: 0.1, Evidence: true, Hold: hold, Pool: pool}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			budgettest.Run(t, budgettest.Config{
				New:    func(t *testing.T) budget.Budget { return newLocal(t, tt.policy) },
				Policy: tt.policy, Start: tt.start, Keep: tt.keep,
			})
		})
	}
}

func TestPolicyMistakes(t *testing.T) {
	nan := math.NaN()
	_, err := budget.NewLocal(budget.Policy{Ratio: nan, MinPerSecond: math.Inf(1), Hold: -time.Second, Pool: 2 * time.Hour})
	for _, p := range []budget.Policy{
		{Ratio: 0.1, MinPerSecond: 1, Proportional: true}, {Ratio: 0.1, Evidence: true, Proportional: true}, {MinPerSecond: 1, Evidence: true, Proportional: true},
	} {
		if _, err := budget.NewLocal(p); err == nil || !strings.Contains(err.Error(), "Policy.Proportional true: want") {
			t.Errorf("%+v: error %v", p, err)
		}
	}
	for _, want := range []string{"Policy.Ratio NaN", "Policy.MinPerSecond +Inf", "Policy.Hold -1s", "Policy.Pool 2h0m0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	for _, p := range []budget.Policy{{}, {Ratio: -0.1}, {Ratio: 101}, {Ratio: 1e-9}, {MinPerSecond: -1}} {
		if _, err := budget.NewLocal(p); err == nil {
			t.Errorf("%+v was accepted", p)
		}
		if _, err := budget.PerService(p, 10); err == nil {
			t.Errorf("PerService accepted %+v", p)
		}
	}
	if _, err := budget.PerService(budget.Policy{Ratio: 0.1}, 0); err == nil || !strings.Contains(err.Error(), "maxServices 0") {
		t.Errorf("PerService with room for none: %v", err)
	}
}

func TestRatioAloneStartsEmptyAndPaysPerRequest(t *testing.T) {
	l := newLocal(t, budget.Policy{Ratio: 0.25})
	for i := range 12 {
		l.Deposit()
		if got, want := l.Withdraw(), (i+1)%4 == 0; got != want {
			t.Fatalf("after request %d: Withdraw = %v, want %v", i+1, got, want)
		}
	}
	if s := l.Stats(); s.Spent != 3 || s.Denied != 9 || s.Requests != 12 || s.Balance != 0 {
		t.Errorf("Stats = %+v, want 3 spent, 9 denied, 12 requests, nothing left", s)
	}
}

func TestFloorAccruesWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, budget.Policy{Ratio: 0.2, MinPerSecond: 2})
		for range 3 {
			if !l.Withdraw() {
				t.Fatal("a fresh budget with a floor must pay for the retries of a first call")
			}
		}
		// From now on one token each half second, at the moment it is whole.
		started := time.Now()
		for want := 500 * time.Millisecond; want <= 5*time.Second; want += 500 * time.Millisecond {
			for !l.Withdraw() && time.Since(started) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			if got := time.Since(started); got < want || got > want+20*time.Millisecond {
				t.Fatalf("token after %v, want after %v", got, want)
			}
		}
	})
}

// The stock is short of a tick here, and what the floor earns is not.
func TestFloorAccruesWithAShortStock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, budget.Policy{MinPerSecond: 1, Hold: time.Millisecond, Pool: time.Millisecond})
		for l.Withdraw() {
		}
		granted := 0
		for range 10_000 {
			time.Sleep(time.Millisecond)
			if l.Withdraw() {
				granted++
			}
		}
		if granted < 9 || granted > 10 {
			t.Errorf("%d tokens in 10s, want one per second", granted)
		}
	})
}

func TestStockIsBoundedAndFollowsTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, budget.Policy{Ratio: 0.1, MinPerSecond: 1})
		for range 100 { // 1,000 requests per second for 10 s, nothing fails
			for range 100 {
				l.Deposit()
			}
			time.Sleep(100 * time.Millisecond)
		}
		n := 0
		for l.Withdraw() {
			n++
		}
		if n < 140 || n > 190 {
			t.Errorf("a stock of %d tokens, want about 1.5 s of 101 per second", n)
		}
		time.Sleep(time.Minute)
		for n = 0; l.Withdraw(); n++ {
		}
		if n != 3 {
			t.Errorf("%d tokens after a minute of silence, want the 3 of an idle budget", n)
		}
	})
}

// With Evidence and no first attempt that succeeds, the retries that did not
// help are within floor, stock and those that did; whatever share of them
// helps.
func TestEvidenceBoundsWhatDidNotHelp(t *testing.T) {
	for _, share := range []float64{0, 0.1, 1. / 3, 0.5, 0.9, 1} {
		synctest.Test(t, func(t *testing.T) {
			l := newLocal(t, budget.Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true})
			rng := rand.New(rand.NewPCG(1, 2))
			start := time.Now()
			var requests, wasted, admitted, helped float64
			for requests < 30_000 {
				l.Deposit()
				requests++
				for attempt := 2; attempt <= 3 && l.WithdrawFor(attempt); attempt++ {
					if rng.Float64() >= share {
						l.Settle(budget.Wasted)
						wasted++
						continue
					}
					if rng.IntN(2) == 0 {
						l.Settle(budget.Admitted)
						admitted++
					} else {
						l.Settle(budget.Helped)
						helped++
					}
					break
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			const stock = 3 // of a fresh budget
			floor := time.Since(start).Seconds()
			most := floor + stock + helped
			if wasted > most {
				t.Errorf("where %v of them help, %v retries did not, want at most %v", share, wasted, most)
			}
			if share == 0 && wasted < 0.9*floor || share == 1 && admitted+helped < requests {
				t.Errorf("where %v of them help, %v retries did and %v did not, want more for %v requests", share, admitted+helped, wasted, requests)
			}
		})
	}
}

// A budget nobody uses has no timer that would keep it.
func TestIdleBudgetIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, budget.Policy{Ratio: 0.1, MinPerSecond: 10})
		for range 100 {
			l.Deposit()
			l.Withdraw()
		}
		time.Sleep(time.Minute)
		gone := weak.Make(l)
		l = nil
		for range 5 {
			runtime.GC()
		}
		if gone.Value() != nil {
			t.Error("an idle budget is still referenced")
		}
	})
}

type counter struct {
	grant             bool
	deposits, refunds int
	log               *[]string
	name              string
}

func (c *counter) Deposit()       { c.deposits++ }
func (c *counter) Withdraw() bool { return c.grant }
func (c *counter) Refund()        { c.refunds++; *c.log = append(*c.log, c.name) }

func TestAllRefundsWhatItCannotUse(t *testing.T) {
	var log []string
	a, b, c, d := &counter{grant: true, name: "a", log: &log}, &counter{grant: true, name: "b", log: &log}, &counter{name: "c", log: &log}, &counter{grant: true, name: "d", log: &log}
	all := budget.All(a, nil, b, c, d)
	all.Deposit()
	if all.Withdraw() {
		t.Error("granted although one refuses")
	}
	if got := strings.Join(log, ""); got != "ba" {
		t.Errorf("refunded %q, want b, then a", got)
	}
	if a.deposits+b.deposits+c.deposits+d.deposits != 4 {
		t.Error("a deposit must reach all of them")
	}
	if !budget.All().Withdraw() {
		t.Error("no budget at all must not refuse")
	}
	if budget.All(nil, a) != budget.Budget(a) {
		t.Error("All of one budget is that budget")
	}
}

func TestAllConservesUnderConcurrency(t *testing.T) {
	service := newLocal(t, budget.Policy{Ratio: 1})
	tenant := newLocal(t, budget.Policy{Ratio: 0.5})
	all := budget.All(service, tenant)
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				all.Deposit()
				if all.Withdraw() {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := granted.Load(); n == 0 || n > 4000 {
		t.Errorf("granted %d of 8000, want some and at most half", n)
	}
	if s := service.Stats(); s.Spent != float64(granted.Load()) {
		t.Errorf("the service paid for %v, want %d: refunds must restore it", s.Spent, granted.Load())
	}
}

func TestPerServiceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of, err := budget.PerService(budget.Policy{Ratio: 0.1, MinPerSecond: 1}, 100)
		if err != nil {
			t.Fatal(err)
		}
		busy := of("busy")
		for busy.Withdraw() {
		}
		distinct := map[budget.Budget]bool{}
		for i := range 100_000 {
			b := of(fmt.Sprint("host-", i))
			b.Deposit()
			distinct[b] = true
		}
		if len(distinct) != 100 { // 99 own ones and the shared one
			t.Errorf("%d budgets for 100,000 names, want 100", len(distinct))
		}
		if of("busy") != busy {
			t.Error("a flood of names dropped a budget in use")
		}
		time.Sleep(time.Minute)
		fresh := map[budget.Budget]bool{}
		for i := range 100 {
			fresh[of(fmt.Sprint("later-", i))] = true
		}
		if len(fresh) < 99 {
			t.Errorf("only %d of 100 new services got budgets of their own after the others fell idle", len(fresh))
		}
		busy.Deposit() // a handle outlives its place in the set
	})
}

func TestPerServiceGivesTheSameBudget(t *testing.T) {
	of, err := budget.PerService(budget.Policy{Ratio: 0.1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	a := of("a")
	if of("a") != a || of("b") == a {
		t.Error("want one budget per name")
	}
	if n := testing.AllocsPerRun(100, func() { of("a").Deposit() }); n != 0 {
		t.Errorf("looking up a budget allocates %v times", n)
	}
}
