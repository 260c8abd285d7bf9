package budget_test

import (
	"fmt"

	"github.com/datapunk/evenkeel/budget"
)

// One retry for five requests, and no stock: in an outage the load grows by a
// fifth, not threefold.
func Example() {
	b, err := budget.NewLocal(budget.Policy{Ratio: 0.2})
	if err != nil {
		fmt.Println(err)
		return
	}
	retries := 0
	for range 100 { // all of them fail, and each would like to be retried
		b.Deposit()
		if b.Withdraw() {
			retries++
		}
	}
	fmt.Println(retries, "retries for 100 requests")
	// Output:
	// 20 retries for 100 requests
}

// The mistake is a budget per call: each has the stock of a fresh one, so that
// nothing is bounded. Make one per service and keep it.
func ExampleNewLocal_incorrect() {
	retries := 0
	for range 100 {
		b, _ := budget.NewLocal(budget.Policy{Ratio: 0.2, MinPerSecond: 1})
		b.Deposit()
		for b.Withdraw() {
			retries++
		}
	}
	fmt.Println(retries, "retries for 100 requests")
	// Output:
	// 300 retries for 100 requests
}

func ExampleAll() {
	service, _ := budget.NewLocal(budget.Policy{Ratio: 0.5})
	tenant, _ := budget.NewLocal(budget.Policy{Ratio: 0.1})
	both := budget.All(service, tenant)
	for range 5 {
		both.Deposit()
	}
	fmt.Println(both.Withdraw(), service.Stats().Spent)
	// Output:
	// false 0
}

// With Evidence a retry that helps is free and pays for another one, so that
// random errors can all be retried with a small Ratio. When nothing helps any
// more, what was saved is the end of it.
func ExampleLocal_Settle() {
	b, err := budget.NewLocal(budget.Policy{Ratio: 0.05, MinPerSecond: 0.001, Evidence: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	call := func(first, second bool) (retried bool) {
		b.Deposit()
		if first {
			b.Settle(budget.Unaided)
			return false
		}
		if !b.WithdrawFor(2) {
			return false
		}
		if second {
			b.Settle(budget.Helped)
		} else {
			b.Settle(budget.Wasted)
		}
		return true
	}
	random, outage := 0, 0
	for i := range 1000 { // each third fails, and each third retry too
		if call(i%3 > 0, i%9 > 0) {
			random++
		}
	}
	for range 1000 {
		if call(false, false) {
			outage++
		}
	}
	fmt.Println(random, "of 334 failures retried,", outage, "of 1000 when nothing helps")
	// Output:
	// 334 of 334 failures retried, 2 of 1000 when nothing helps
}
