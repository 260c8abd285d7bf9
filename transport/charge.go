package transport

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
)

// charge is the account of a round with its budget.
type charge struct {
	budget budget.Budget // nil: retries are not limited
	paid   bool          // for an attempt that is not sent yet
	owed   bool          // the attempt in flight was paid for, and its outcome is not yet reported
	shed   bool          // the server shed the newest attempt
	after  bool          // the server shed the attempt before that

	free     bool // the next attempt, since the newest never got anywhere
	timedOut bool // the newest attempt
	unproved bool // what was paid is enough once another call succeeds
}

// open finds the budget of the round.
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

// pay asks for an attempt. The first to be sent is free, and so is one after an
// attempt that never got anywhere. One that a layer refused to send is still paid
// for. After a timeout an attempt is dear. If it can wait until the service is seen
// to answer, as a guard lets it, that will do instead.
func (c *charge) pay(attempt int, canWait bool) bool {
	if c.budget == nil || attempt == 1 || c.paid || c.free {
		return true
	}
	if b, ok := c.budget.(budget.TimeoutPricer); ok && c.timedOut {
		if c.paid = b.WithdrawAfterTimeout(attempt); c.paid || !canWait {
			return c.paid
		}
		c.unproved = true
	}
	if b, ok := c.budget.(budget.Pricer); ok {
		c.paid = b.WithdrawFor(attempt)
	} else {
		c.paid = c.budget.Withdraw()
	}
	return c.paid
}

// fetching returns a channel that is closed when the credit that a refusal asked for has
// come, or nil if none will.
func (c *charge) fetching() <-chan struct{} {
	if b, ok := c.budget.(budget.Fetcher); ok {
		return b.Fetching()
	}
	return nil
}

// fetch waits while the budget fetches the credit that it lacked, for BaseDelay at most.
func (r *round) fetch(ctx context.Context) bool {
	fetched := r.charge.fetching()
	if fetched == nil {
		return false
	}
	start := time.Now()
	defer func() { r.waited += time.Since(start) }()
	limit := time.NewTimer(r.call.policy.BaseDelay)
	defer limit.Stop()
	select {
	case <-fetched:
		return true
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

func (r *round) pay() bool {
	k := r.call.known
	return r.charge.pay(int(r.sent.Load())+1, k != nil && k.guard != nil)
}

// affords reports whether the budget could pay for the attempt.
func (c *charge) affords(attempt int) bool {
	b, ok := c.budget.(budget.Afforder)
	return ok && b.Affords(attempt)
}

// sent records that the attempt is in flight.
func (c *charge) sent() {
	c.owed, c.paid, c.unproved = c.paid, false, false
	c.after, c.shed = c.shed, false
}

// refund returns the token of an attempt that was not sent.
func (c *charge) refund() {
	if !c.paid {
		return
	}
	c.paid = false
	if b, ok := c.budget.(budget.Refunder); ok {
		b.Refund()
	}
}

// outran reports that a second copy was answered first. Its token comes back without
// interest, because the first copy was not lost.
func (c *charge) outran() {
	if b, ok := c.budget.(budget.Settler); ok && c.owed {
		b.Settle(budget.Admitted)
	}
	c.owed = false
}

// settle reports the outcome of an attempt. If it was not sent, the next one still
// follows the response before.
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

// isShed reports whether a server refused to process a request: by a throttle, or by a
// 503 that says when or whether to come back. Any other 503 is an ordinary error.
func isShed(resp *http.Response) bool {
	return resp != nil && resp.StatusCode >= 400 && (isThrottle(resp) ||
		resp.StatusCode == http.StatusServiceUnavailable && headers.Hinted(resp.Header, time.Now()))
}
