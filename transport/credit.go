package transport

import (
	"net/http"

	"github.com/datapunk/evenkeel/budget"
)

// credit is what a run owes its budget.
type credit struct {
	budget budget.Budget // nil: none
	paid   bool          // for an attempt that is not sent yet
	owed   bool          // the budget wants to know what came of the attempt under way
	shed   bool          // the attempt before was refused by the server
}

// pay asks for an attempt. The first to be sent is free, and one that a layer
// refused to send is still paid for.
func (c *credit) pay(attempt int) bool {
	if c.budget == nil || attempt == 1 || c.paid {
		return true
	}
	if b, ok := c.budget.(interface{ WithdrawFor(attempt int) bool }); ok {
		c.paid = b.WithdrawFor(attempt)
	} else {
		c.paid = c.budget.Withdraw()
	}
	return c.paid
}

// sent says that the attempt is under way.
func (c *credit) sent() { c.owed, c.paid = c.paid, false }

// refund gives back what an attempt cost that was not sent after all.
func (c *credit) refund() {
	if !c.paid {
		return
	}
	c.paid = false
	if b, ok := c.budget.(interface{ Refund() }); ok {
		b.Refund()
	}
}

// settle tells the budget what came of an attempt that was paid for.
func (c *credit) settle(succeeded, slow, shed bool) {
	if c.owed {
		c.owed = false
		if b, ok := c.budget.(interface{ Settle(budget.Outcome) }); ok {
			switch {
			case !succeeded || slow:
				b.Settle(budget.Wasted)
			case c.shed:
				b.Settle(budget.Admitted)
			default:
				b.Settle(budget.Helped)
			}
		}
	}
	c.shed = shed
}

// isShed reports whether a response says that the server would not begin.
func isShed(resp *http.Response) bool {
	return resp != nil && (resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests)
}
