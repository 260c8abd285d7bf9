package budget_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// However many budgets there are, and whatever their traffic, with Proportional
// their retries are within their stocks and a share of their requests.
func TestProportionalBoundsTheSum(t *testing.T) {
	for _, share := range []float64{0, 0.3, 0.7, 1} {
		synctest.Test(t, func(t *testing.T) {
			const processes, stock = 100, 6
			rng := rand.New(rand.NewPCG(3, 4))
			p := budget.Default()
			var fleet [processes]*budget.Local
			for i := range fleet {
				fleet[i] = newLocal(t, p)
			}
			var requests, succeeded, helped, wasted float64
			for range 40_000 {
				l := fleet[min(rng.IntN(processes), rng.IntN(processes))] // some call more than others
				l.Deposit()
				requests++
				if rng.Float64() < share {
					l.Settle(budget.Unaided)
					succeeded++
				} else if l.WithdrawFor(2) {
					if rng.Float64() < share {
						l.Settle(budget.Helped)
						helped++
					} else {
						l.Settle(budget.Wasted)
						wasted++
					}
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			if most := p.Ratio*(succeeded+requests) + helped + stock*processes; wasted > most {
				t.Errorf("where %v succeed, %v retries did not help, want at most %v", share, wasted, most)
			}
			if least := 0.9 * (p.Ratio*requests + stock*processes); share == 0 && wasted < least {
				t.Errorf("%v retries where nothing succeeds, want at least %v", wasted, least)
			}
		})
	}
}

// Where nothing succeeds any more, a budget grants a retry after a timeout only from
// what more than a few requests per second have saved.
func TestTimeoutsAreDear(t *testing.T) {
	p := budget.Default()
	for _, tt := range []struct {
		gap  time.Duration // between requests
		most float64
	}{
		{time.Minute, 0}, {5 * time.Second, 0}, {time.Second, 0}, {320 * time.Millisecond, 0},
		{100 * time.Millisecond, 0.05 * 10 * 6}, {28 * time.Millisecond, 0.05 / 0.028 * 6}, {time.Millisecond, 0.05 * 1000 * 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLocal(t, p)
			for start := time.Now(); time.Since(start) < time.Minute+100*tt.gap; time.Sleep(tt.gap) {
				l.Deposit()
				l.Settle(budget.Unaided)
			}
			granted, fast := 0.0, 0
			for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(tt.gap) {
				l.Deposit()
				if l.WithdrawAfterTimeout(2) {
					granted++
					l.Settle(budget.Wasted)
				}
			}
			for l.WithdrawFor(2) {
				fast++
			}
			// The last deposit may be above the ceiling, and a rate in a quarter of a
			// second is not exact.
			if granted > tt.most*1.2+1 || tt.most == 0 && granted > 0 || granted < tt.most*0.8-1 {
				t.Errorf("a request each %v: %v retries after timeouts, want about %v", tt.gap, granted, tt.most)
			}
			if fast != 6 {
				t.Errorf("a request each %v: then %d retries after errors, want the stock of 6", tt.gap, fast)
			}
		})
	}
}

// A stock that was spent is complete again once a budget lay still for long, and
// grows with requests before that.
func TestProportionalStockComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLocal(t, budget.Default())
		spend := func() (n int) {
			for l.WithdrawFor(2) {
				n++
			}
			return n
		}
		for _, tt := range []struct {
			requests int
			still    time.Duration
			want     int
		}{
			{0, 0, 6}, {0, time.Minute, 0}, {20, time.Minute, 1}, {19, time.Minute, 0}, {0, 11 * time.Minute, 6},
			{0, 9 * time.Minute, 0}, {1, 9 * time.Minute, 0}, {0, 11 * time.Minute, 6},
		} {
			for range tt.requests {
				l.Deposit()
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(tt.still)
			if got := spend(); got != tt.want {
				t.Errorf("after %d requests and %v: %d retries, want %d", tt.requests, tt.still, got, tt.want)
			}
		}
	})
}
