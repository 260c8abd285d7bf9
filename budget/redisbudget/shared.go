package redisbudget

import (
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
)

// Stats is a snapshot of a shared budget, taken in this process.
type Stats = budget.FleetStats

// A Shared is this process's part of a budget that a fleet shares. It is a
// [budget.Budget], and a budget.Refunder, Pricer, Afforder, Settler and Fetcher. Its methods
// never wait for Redis: they only read and write memory.
type Shared fleet.Budget

// Deposit says that a first attempt was sent.
func (b *Shared) Deposit() { b.part().Deposit() }

// Withdraw takes one token if this process has one. If not, it refuses and has the
// [Fleet] fetch credit, which takes a round trip to Redis. Asked again after the wait
// before a retry, it often has a token.
func (b *Shared) Withdraw() bool { return b.part().Withdraw() }

// Refund returns the token of a retry that was not sent after all.
func (b *Shared) Refund() { b.part().Refund() }

// WithdrawFor is Withdraw for the given attempt of a call; the first is 1. Without
// the policy's Evidence the attempt makes no difference. Whether the attempt before it
// timed out makes none: that is a matter of Proportional, which a fleet does not take.
func (b *Shared) WithdrawFor(attempt int) bool { return b.part().WithdrawFor(attempt) }

// Affords reports whether WithdrawFor would grant the attempt now. It changes
// nothing and does not ask the fleet.
func (b *Shared) Affords(attempt int) bool { return b.part().Affords(attempt) }

// Settle reports the outcome of an attempt. It has no effect without the policy's
// Evidence.
func (b *Shared) Settle(o budget.Outcome) { b.part().Settle(o) }

// Fetching returns a channel that is closed when the exchange with Redis is over that a
// refusal asked for. It is nil while Redis cannot be reached.
func (b *Shared) Fetching() <-chan struct{} { return b.part().Fetching() }

// Name returns the name of the budget in the fleet.
func (b *Shared) Name() string { return b.part().Name() }

// Stats returns a snapshot of the budget. Under traffic its figures agree only
// roughly.
func (b *Shared) Stats() Stats { return b.part().Stats() }

func (b *Shared) part() *fleet.Budget { return (*fleet.Budget)(b) }
