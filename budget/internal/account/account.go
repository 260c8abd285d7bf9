// Package account keeps the balance of one retry budget: the part that every
// call touches, and what a synchroniser does to it behind the calls.
package account

import (
	"math"
	"sync/atomic"
)

// Token is one retry, in the micro-tokens that accounts count.
const Token = 1_000_000

// FirstCall is how many tokens a budget with a floor may always keep: the
// retries of one call under a policy of three attempts, and one more.
const FirstCall = 3

// An Account is the hot path of every budget: a balance that deposits raise up to a
// ceiling and that withdrawals lower. Its owner moves the ceiling, takes surplus
// away and brings credit in. The account itself reads no clock and starts nothing.
// Amounts are in micro-tokens, millionths of a retry. Make one with [New].
//
// The fields are on three cache lines: what every call writes, what every call
// reads, and what few calls write.
type Account struct {
	balance  atomic.Int64
	requests atomic.Int64 // counted where there is a reserve
	_        [48]byte

	ceiling  atomic.Int64
	mint     int64
	reserve  int64
	wake     func()
	mode     atomic.Uint32
	evidence bool
	_        [27]byte

	dropped  atomic.Int64
	spent    atomic.Int64 // what was refunded included
	refunded atomic.Int64
	denied   atomic.Int64
	brought  atomic.Int64
	repaid   atomic.Int64
	armed    atomic.Bool
	_        [12]byte
}

// The bits of a mode. In the mode 0 both paths are at their shortest.
const (
	asleep = 1 << iota // the next call wakes the owner
	shut               // nothing is granted
)

// New returns an account without credit, with a ceiling of one token. A request
// deposits ratio tokens; with evidence, only once its first attempt succeeded.
// wake is called, on the goroutine of the caller, by the first deposit or
// withdrawal after [Account.Sleep], and by the first refusal after [Account.Arm].
// It must not block. It may be nil.
func New(ratio float64, evidence bool, wake func()) *Account {
	a := &Account{mint: int64(math.Round(ratio * Token)), wake: wake, evidence: evidence}
	a.ceiling.Store(Token)
	return a
}

// Reserve keeps n of the balance from retries after timeouts, and has requests
// counted. It is for an account that nobody uses yet.
func (a *Account) Reserve(n int64) { a.reserve = n }

// Requests is how many deposits there were. They are counted with a reserve only.
func (a *Account) Requests() int64 { return a.requests.Load() }

// Deposit adds the mint of one request, or drops it if the balance has reached the
// ceiling. With evidence, Settle deposits instead, after a success.
func (a *Account) Deposit() {
	if a.mode.Load() != 0 {
		a.rouse()
	}
	if a.reserve > 0 {
		a.requests.Add(1)
	}
	if !a.evidence {
		a.deposit()
	}
}

func (a *Account) deposit() {
	if a.balance.Load() < a.ceiling.Load() {
		a.balance.Add(a.mint)
		return
	}
	a.dropped.Add(a.mint)
}

// Withdraw takes one token if there is one.
func (a *Account) Withdraw() bool {
	if a.mode.Load() != 0 && a.rouse()&shut != 0 || !a.take(Token) {
		a.deny()
		return false
	}
	a.spent.Add(Token)
	return true
}

// Refund returns a token that was withdrawn for a retry which was not sent.
func (a *Account) Refund() {
	a.refunded.Add(Token)
	a.balance.Add(Token)
}

// take lowers the balance by n unless that made it negative.
func (a *Account) take(n int64) bool {
	for {
		b := a.balance.Load()
		if b < n {
			return false
		}
		if a.balance.CompareAndSwap(b, b-n) {
			return true
		}
	}
}

// rouse ends a sleep and returns the mode.
func (a *Account) rouse() uint32 {
	mode := a.mode.And(^uint32(asleep))
	if mode&asleep != 0 && a.wake != nil {
		a.wake()
	}
	return mode
}

func (a *Account) deny() {
	a.denied.Add(1)
	if a.armed.Load() && a.armed.CompareAndSwap(true, false) && a.wake != nil {
		a.wake()
	}
}

// Sleep makes the next deposit or withdrawal call wake, once.
func (a *Account) Sleep() { a.mode.Or(asleep) }

// Asleep reports whether there was no deposit and no withdrawal since Sleep.
func (a *Account) Asleep() bool { return a.mode.Load()&asleep != 0 }

// Arm makes the next refused withdrawal call wake, once.
func (a *Account) Arm() { a.armed.Store(true) }

// Shut refuses all withdrawals, whatever the balance is, until Shut(false).
// Deposits count as before.
func (a *Account) Shut(on bool) {
	if on {
		a.mode.Or(shut)
	} else {
		a.mode.And(^uint32(shut))
	}
}

// Bring adds credit from elsewhere, such as the floor. The ceiling does not apply.
func (a *Account) Bring(n int64) {
	a.balance.Add(n)
	a.brought.Add(n)
}

// TakeAbove removes what the balance has above keep and returns it, for the caller
// to give away.
func (a *Account) TakeAbove(keep int64) int64 {
	for {
		b := a.balance.Load()
		if b <= keep {
			return 0
		}
		if a.balance.CompareAndSwap(b, keep) {
			a.brought.Add(keep - b)
			return b - keep
		}
	}
}

// Drop removes what the balance has above keep and counts it as dropped.
func (a *Account) Drop(keep int64) {
	n := a.TakeAbove(keep)
	a.brought.Add(n)
	a.dropped.Add(n)
}

// SetCeiling sets the balance from which deposits are dropped, at least one token.
func (a *Account) SetCeiling(n int64) { a.ceiling.Store(max(n, Token)) }
