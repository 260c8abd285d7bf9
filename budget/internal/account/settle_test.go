package account_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// What the ratio bounds is the retries that did not help: whatever comes of
// them in whatever order, those that helped have paid for themselves and at most
// one more each, and the rest is paid by first attempts that succeeded.
func TestEvidenceBoundsWhatDoesNotHelp(t *testing.T) {
	const ratio, stock = 0.05, 7
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		a := account.New(ratio, true, nil)
		a.SetCeiling(int64(1+random.IntN(20)) * token)
		a.Bring(stock * token)
		fails, helps := random.Float64(), random.Float64()
		var unaided, helped, admitted, wasted, open int
		for range 5000 {
			a.Deposit()
			if random.Float64() >= fails {
				a.Settle(account.Unaided)
				unaided++
				continue
			}
			if a.WithdrawFor(2 + random.IntN(4)) {
				open++
			}
			for open > random.IntN(8) {
				open--
				switch x := random.Float64(); {
				case x >= helps:
					a.Settle(account.Wasted)
					wasted++
				case x < helps/4:
					a.Settle(account.Admitted)
					admitted++
				default:
					a.Settle(account.Helped)
					helped++
				}
			}
			if got, most := float64(wasted+open), stock+ratio*float64(unaided)+float64(helped); got > most+1e-6 {
				t.Fatalf("seed %d: %d retries did not help and %d are open, want at most %.2f after %d first attempts that succeeded and %d retries that helped",
					seed, wasted, open, most, unaided, helped)
			}
		}
		if b := a.Books(); b.Balance < 0 {
			t.Fatalf("seed %d: the balance is %d", seed, b.Balance)
		}
	}
}

// A service where nothing works gets the stock and nothing more, however many
// requests there are.
func TestEvidenceOfNothingEarnsNothing(t *testing.T) {
	a := account.New(0.5, true, nil)
	a.SetCeiling(10_000_000)
	a.Bring(3_000_000)
	granted := 0
	for range 1000 {
		a.Deposit()
		if a.WithdrawFor(2) {
			granted++
			a.Settle(account.Wasted)
		}
	}
	if granted != 3 {
		t.Errorf("%d retries, want the 3 of the stock", granted)
	}
}

// However many retries help at the same moment, what they bring does not pile
// up: apart from refunds, an account never has two tokens above its ceiling. A
// reader of its books never counts any of it as requests.
func TestEvidenceStopsAtTheCeilingForAll(t *testing.T) {
	const ceiling = 5_000_000
	for _, refunds := range []bool{false, true} {
		a := account.New(0.5, true, nil)
		a.SetCeiling(ceiling)
		var most, madeUp atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for n := range 10_000 {
					a.Settle(account.Helped)
					books := a.Books()
					raise(&most, books.Balance)
					raise(&madeUp, books.Requests())
					if a.Withdraw() && refunds && n%7 == 0 {
						a.Refund()
					}
				}
			})
		}
		wg.Wait()
		if got := most.Load(); !refunds && got >= ceiling+2_000_000 {
			t.Errorf("a balance of %d, want less than two tokens above the ceiling of %d", got, ceiling)
		}
		if n := madeUp.Load(); n > 0 {
			t.Errorf("with refunds %v: the books showed %d requests of which there was none", refunds, n)
		}
		if b := a.Books(); b.Balance != b.Repaid-b.Spent || b.Brought != b.Repaid {
			t.Errorf("balance %d and %d brought, with %d repaid and %d spent", b.Balance, b.Brought, b.Repaid, b.Spent)
		}
	}
}

// raise makes a maximum at least n.
func raise(most *atomic.Int64, n int64) {
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}
