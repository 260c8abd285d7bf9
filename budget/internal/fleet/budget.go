package fleet

import (
	"sync"
	"sync/atomic"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/account"
)

// A Budget is this process's part of a budget that a fleet shares. Its calls
// touch two or three words of memory; what is exchanged with the fleet is
// exchanged behind them.
type Budget struct {
	account  *account.Account
	name     string
	key      string
	shard    int
	services *services   // that may forget it; guarded by the fleet's lock
	woken    atomic.Bool // since it last spoke
	out      atomic.Bool // the syncer has forgotten it
	in       bool        // the syncer has it; the syncer's

	mu      sync.Mutex // guards what follows; the hot path never takes it
	ledger  ledger
	fetched chan struct{} // closed with the next exchange; nil if nobody waits for it
}

// newBudget returns a budget that calls wake when it was refused and should
// talk to the fleet soon, or when it was asleep and is used again.
func newBudget(name, key string, shard int, p budget.Policy, wake func(*Budget)) *Budget {
	b := &Budget{name: name, key: key, shard: shard}
	b.account = account.New(p.Ratio, p.Evidence, func() { wake(b) })
	b.account.Arm()
	b.ledger = ledger{policy: p, account: b.account}
	return b
}

// Deposit is that of [budget.Budget].
func (b *Budget) Deposit() { b.account.Deposit() }

// Withdraw is that of [budget.Budget]. If it refuses, it asks the fleet for
// credit.
func (b *Budget) Withdraw() bool { return b.account.Withdraw() }

// Refund is that of [budget.Refunder].
func (b *Budget) Refund() { b.account.Refund() }

// WithdrawFor is that of [budget.Pricer].
func (b *Budget) WithdrawFor(attempt int) bool { return b.account.WithdrawFor(attempt) }

// Affords is that of [budget.Afforder].
func (b *Budget) Affords(attempt int) bool { return b.account.Affords(attempt) }

// Settle is that of [budget.Settler].
func (b *Budget) Settle(o budget.Outcome) { b.account.Settle(o) }

// Fetching is that of [budget.Fetcher]: the channel is closed with the next exchange. It
// is nil while the fleet cannot be reached, and while the budget is paused.
func (b *Budget) Fetching() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := &b.ledger; l.paused() || l.foreign || !l.connected && l.exchanges > 0 {
		return nil
	}
	if b.fetched == nil {
		b.fetched = make(chan struct{})
	}
	return b.fetched
}

// exchanged tells those who wait that an exchange is over, with the lock held.
func (b *Budget) exchanged() {
	if b.fetched != nil {
		close(b.fetched)
		b.fetched = nil
	}
}

// Name returns the name that the fleet knows the budget by.
func (b *Budget) Name() string { return b.name }

// Key returns the key under which the store has the budget.
func (b *Budget) Key() string { return b.key }

// Stats reads the budget; with traffic the figures agree only nearly.
func (b *Budget) Stats() budget.FleetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, books := &b.ledger, b.account.Books()
	s := budget.FleetStats{
		Stats:     budget.Stats(books.Stats()),
		Connected: l.connected, Paused: l.paused(), Interval: max(l.speakAt-l.saidAt, 0),
		Given: l.given, Granted: l.granted, Lost: l.lost,
		Learning:  !l.known(),
		Exchanges: l.exchanges, Failures: l.failures,
		Pool: l.last.Pool, PoolCap: l.last.Cap, Instances: l.last.Instances,
		FleetRequests: l.last.Requests, FleetRetries: l.last.Retries, FleetDenied: l.last.Denied,
	}
	if l.last.Requests > 0 {
		s.FleetRetryRatio = l.last.Retries / l.last.Requests
	}
	return s
}

// turn follows a turn of the switch made here.
func (b *Budget) turn(switched float64) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.turn(switched)
}

func (b *Budget) knows() (switched float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.switched
}
