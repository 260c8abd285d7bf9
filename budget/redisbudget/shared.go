package redisbudget

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/account"
)

// Stats is a look at a budget, from this process.
type Stats = budget.FleetStats

// A Shared is this process's part of a budget that a fleet shares. It is a
// [budget.Budget] whose calls touch two or three words of memory: what is
// exchanged with the fleet is exchanged behind their back.
type Shared struct {
	account  *account.Account
	name     string
	key      string
	shard    int
	services *services   // that may forget it; guarded by the fleet's lock
	woken    atomic.Bool // since it last spoke
	out      atomic.Bool // the syncer has forgotten it
	in       bool        // the syncer has it; the syncer's

	mu     sync.Mutex // guards the ledger; the hot path never takes it
	ledger ledger
}

// newShared returns a budget that calls wake when it was refused and should
// talk to the fleet soon, or when it was asleep and is used again.
func newShared(name, key string, shard int, p budget.Policy, wake func(*Shared)) *Shared {
	b := &Shared{name: name, key: key, shard: shard}
	b.account = account.New(p.Ratio, p.Evidence, func() { wake(b) })
	b.account.Arm()
	b.ledger = ledger{policy: p, account: b.account}
	return b
}

// Deposit says that a first attempt was sent.
func (b *Shared) Deposit() { b.account.Deposit() }

// Withdraw takes one token if there is one here. If it refuses, it asks the
// fleet for some, which takes a round trip to Redis: asked again after the
// wait before a retry, it often has one.
func (b *Shared) Withdraw() bool { return b.account.Withdraw() }

// Refund returns a token for a retry that was not sent after all.
func (b *Shared) Refund() { b.account.Refund() }

// WithdrawFor is Withdraw for the given attempt of a call, counted from 1; the
// two differ with the policy's Evidence.
func (b *Shared) WithdrawFor(attempt int) bool { return b.account.WithdrawFor(attempt) }

// Affords reports whether WithdrawFor would grant the attempt now; it takes
// nothing, and asks the fleet for nothing.
func (b *Shared) Affords(attempt int) bool { return b.account.Affords(attempt) }

// Settle says what came of a retry; it matters with the policy's Evidence.
func (b *Shared) Settle(o budget.Outcome) { b.account.Settle(o) }

// Name returns the name that the fleet knows the budget by.
func (b *Shared) Name() string { return b.name }

// Stats reads the budget; with traffic the figures agree only nearly.
func (b *Shared) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, books := &b.ledger, b.account.Books()
	s := Stats{
		Stats:     budget.Stats(books.Stats()),
		Connected: l.connected, Paused: l.paused(), Interval: max(l.speakAt-l.saidAt, 0),
		Given: l.given, Granted: l.granted, Lost: l.lost,
		Learning:  l.learnt == 0 || l.saidAt < l.learnt,
		Exchanges: l.exchanges, Failures: l.failures,
		Pool: l.last.pool, PoolCap: l.last.limit, Instances: l.last.instances,
		FleetRequests: l.last.requests, FleetRetries: l.last.retries, FleetDenied: l.last.denied,
	}
	if l.last.requests > 0 {
		s.FleetRetryRatio = l.last.retries / l.last.requests
	}
	return s
}

// turn follows a turn of the switch made here.
func (b *Shared) turn(switched float64) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.turn(switched)
}

func (b *Shared) knows() (switched float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.switched
}

// now is what the ledger's times count from, in a fleet.
func (f *Fleet) now() time.Duration { return time.Since(f.started) }
