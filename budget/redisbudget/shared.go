package redisbudget

import (
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
)

// Stats is a look at a budget, from this process.
type Stats = budget.FleetStats

// A Shared is this process's part of a budget that a fleet shares. It is a
// [budget.Budget] whose calls touch two or three words of memory: what is
// exchanged with the fleet is exchanged behind their back.
type Shared fleet.Budget

// Deposit says that a first attempt was sent.
func (b *Shared) Deposit() { b.part().Deposit() }

// Withdraw takes one token if there is one here. If it refuses, it asks the
// fleet for some, which takes a round trip to Redis: asked again after the
// wait before a retry, it often has one.
func (b *Shared) Withdraw() bool { return b.part().Withdraw() }

// Refund returns a token for a retry that was not sent after all.
func (b *Shared) Refund() { b.part().Refund() }

// WithdrawFor is Withdraw for the given attempt of a call, counted from 1; the
// two differ with the policy's Evidence.
func (b *Shared) WithdrawFor(attempt int) bool { return b.part().WithdrawFor(attempt) }

// Affords reports whether WithdrawFor would grant the attempt now; it takes
// nothing, and asks the fleet for nothing.
func (b *Shared) Affords(attempt int) bool { return b.part().Affords(attempt) }

// Settle says what came of a retry; it matters with the policy's Evidence.
func (b *Shared) Settle(o budget.Outcome) { b.part().Settle(o) }

// Name returns the name that the fleet knows the budget by.
func (b *Shared) Name() string { return b.part().Name() }

// Stats reads the budget; with traffic the figures agree only nearly.
func (b *Shared) Stats() Stats { return b.part().Stats() }

func (b *Shared) part() *fleet.Budget { return (*fleet.Budget)(b) }
