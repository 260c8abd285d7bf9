package account

// An Outcome is what came of an attempt. Package budget exports the type and its
// values, and documents them.
type Outcome int8

// The outcomes.
const (
	Wasted Outcome = iota
	Admitted
	Helped
	Unaided
)

// interest is what a retry that helped earns beyond its own token. A whole token
// keeps the balance level where every second retry helps, as with one of two
// replicas gone.
const interest = Token

// Settle takes the outcome of an attempt. With evidence, a retry that succeeded gets
// its token back, with interest if it helped. As with a deposit, a repayment that
// finds the balance below the ceiling may raise it above, by less than two tokens.
// At the ceiling a repayment is dropped.
func (a *Account) Settle(o Outcome) {
	if !a.evidence || o == Wasted {
		return
	}
	if o == Unaided {
		a.deposit()
		return
	}
	n := int64(Token)
	if o == Helped {
		n += interest
	}
	// One at a time: many retries that end at once would otherwise see the same
	// room, and keep two tokens each.
	for {
		b := a.balance.Load()
		if b >= a.ceiling.Load() {
			return
		}
		// Before the balance, or a reader of the books would take it for deposits.
		a.brought.Add(n)
		if a.balance.CompareAndSwap(b, b+n) {
			a.repaid.Add(n)
			return
		}
		a.brought.Add(-n)
	}
}

// WithdrawFor is Withdraw for the given attempt of a call, counted from 1. With
// evidence the third and later attempts are refused while the balance is low, so
// that the last credit goes to calls that were not retried yet.
func (a *Account) WithdrawFor(attempt int) bool { return a.withdraw(a.needed(attempt)) }

// WithdrawAfterTimeout is WithdrawFor for an attempt after one that timed out. It
// leaves the reserve.
func (a *Account) WithdrawAfterTimeout(attempt int) bool {
	return a.withdraw(a.reserve + a.needed(attempt))
}

// withdraw takes one token of a balance that is large enough.
func (a *Account) withdraw(enough int64) bool {
	if a.balance.Load() < enough {
		if a.mode.Load() != 0 {
			a.rouse()
		}
		a.deny()
		return false
	}
	return a.Withdraw()
}

// Affords reports whether WithdrawFor would grant the attempt now. It counts
// nothing and changes nothing.
func (a *Account) Affords(attempt int) bool {
	return a.mode.Load()&shut == 0 && a.balance.Load() >= a.needed(attempt)
}

// needed is the balance without which there is nothing for the attempt.
func (a *Account) needed(attempt int) int64 {
	if !a.evidence || attempt <= 2 {
		return Token
	}
	spare := max(a.ceiling.Load()-FirstCall*Token, 0) / 4
	return Token + int64(min(attempt, 6)-2)*spare
}
