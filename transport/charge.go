package transport

import (
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
)

// charge is what a round owes its budget.
type charge struct {
	budget budget.Budget // nil: none
	paid   bool          // for an attempt that is not sent yet
	owed   bool          // the budget wants to know what came of the attempt under way
	shed   bool          // the server refused the newest attempt that was sent
	after  bool          // and the one before it

	unproved bool // what was paid is enough once the service is seen to answer
}

// open finds the budget of the call.
func (r *round) open() error {
	if k := r.call.known; k != nil && k.budget != nil {
		r.charge.budget = k.budget
		return nil
	}
	if r.loop.budget == nil {
		return nil
	}
	service := r.call.record.Service
	b := r.loop.budget(service)
	if b == nil {
		return nil
	}
	if isNil(b) {
		return fmt.Errorf("transport: WithBudget: the budget of %q is a nil %T, want a budget, or nil itself for none", service, b)
	}
	r.charge.budget = b
	return nil
}

// pay asks for an attempt. The first to be sent is free, and one that a layer
// refused to send is still paid for.
func (c *charge) pay(attempt int) bool {
	if c.budget == nil || attempt == 1 || c.paid {
		return true
	}
	if b, ok := c.budget.(budget.Pricer); ok {
		c.paid = b.WithdrawFor(attempt)
	} else {
		c.paid = c.budget.Withdraw()
	}
	return c.paid
}

// affords reports whether the budget says that it could pay for the attempt.
func (c *charge) affords(attempt int) bool {
	b, ok := c.budget.(budget.Afforder)
	return ok && b.Affords(attempt)
}

// sent says that the attempt is under way.
func (c *charge) sent() {
	c.owed, c.paid = c.paid, false
	c.after, c.shed = c.shed, false
}

// refund gives back what an attempt cost that was not sent after all.
func (c *charge) refund() {
	if !c.paid {
		return
	}
	c.paid = false
	if b, ok := c.budget.(budget.Refunder); ok {
		b.Refund()
	}
}

// outran tells the budget that a second copy was answered first. It gets its
// token back, but no interest: the first was not lost.
func (c *charge) outran() {
	if b, ok := c.budget.(budget.Settler); ok && c.owed {
		b.Settle(budget.Admitted)
	}
	c.owed = false
}

// settle tells the budget what came of an attempt. One that was not sent is
// none: the next still follows what the server said before.
func (c *charge) settle(succeeded, slow, shed bool) {
	paid := c.owed
	c.owed, c.shed = false, c.shed || shed
	if !paid && !succeeded {
		return
	}
	b, ok := c.budget.(budget.Settler)
	switch {
	case !ok:
	case !succeeded || slow:
		b.Settle(budget.Wasted)
	case !paid:
		b.Settle(budget.Unaided)
	case c.after:
		b.Settle(budget.Admitted)
	default:
		b.Settle(budget.Helped)
	}
}

// isShed reports whether a response says that the server would not begin: a
// throttle, or a 503 that says when or whether to come back. Any other 503 is an
// error as any other: a retry that helps against it has earned its credit.
func isShed(resp *http.Response) bool {
	return resp != nil && (isThrottle(resp) ||
		resp.StatusCode == http.StatusServiceUnavailable && headers.Hinted(resp.Header, time.Now()))
}
