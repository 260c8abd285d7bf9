package account_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// However deposits, withdrawals, refunds and a synchroniser interleave, the
// books balance to the micro-token.
func TestAccountBooksBalance(t *testing.T) {
	var woken atomic.Int64
	a := account.New(0.3, false, func() { woken.Add(1) })
	a.SetCeiling(1 << 40)
	var deposits, granted, taken, brought atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 5000 {
				switch (g + i) % 5 {
				case 0, 1, 2:
					a.Deposit()
					deposits.Add(1)
				case 3:
					if a.Withdraw() {
						granted.Add(1)
						if i%7 == 0 {
							a.Refund()
							granted.Add(-1)
						}
					}
				case 4:
					if i%11 == 0 {
						taken.Add(a.TakeAbove(2_000_000))
					}
					if i%13 == 0 {
						a.Bring(123_456)
						brought.Add(123_456)
					}
					a.Sleep()
				}
			}
		})
	}
	wg.Wait()
	b := a.Books()
	if got := deposits.Load()*300_000 + brought.Load() - taken.Load() - granted.Load()*1_000_000; b.Balance != got {
		t.Errorf("balance %d, want %d", b.Balance, got)
	}
	if b.Requests() != deposits.Load() {
		t.Errorf("the books show %d requests, want %d", b.Requests(), deposits.Load())
	}
	if b.Spent != granted.Load()*1_000_000 || woken.Load() == 0 {
		t.Errorf("spent %d and woken %d times, want %d and some", b.Spent, woken.Load(), granted.Load()*1_000_000)
	}
}

// However many take surplus at once, each micro-token is taken once.
func TestSurplusIsTakenOnce(t *testing.T) {
	a := account.New(1, false, nil)
	var taken atomic.Int64
	var wg sync.WaitGroup
	const goroutines, each = 8, 20_000
	for range goroutines {
		wg.Go(func() {
			for range each {
				a.Bring(1)
				taken.Add(a.TakeAbove(0))
			}
		})
	}
	wg.Wait()
	if b := a.Books(); taken.Load()+b.Balance != goroutines*each || b.Brought != b.Balance {
		t.Errorf("%d taken and %d left of %d, %d on balance brought", taken.Load(), b.Balance, goroutines*each, b.Brought)
	}
}
