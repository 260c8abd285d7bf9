package account_test

import (
	"testing"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

const token = account.Token

// Each row is a rule: what is done to an account, and what its books show after.
func TestBooks(t *testing.T) {
	times := func(n int, do func()) {
		for range n {
			do()
		}
	}
	for _, tt := range []struct {
		name     string
		ratio    float64
		evidence bool
		do       func(a *account.Account)
		want     account.Stats
		brought  int64
	}{
		{"new", 0.5, false, func(a *account.Account) {}, account.Stats{Ceiling: 1}, 0},
		{"a deposit adds the ratio", 0.25, false, func(a *account.Account) { a.Deposit() }, account.Stats{Balance: 0.25, Ceiling: 1, Requests: 1}, 0},
		{"a deposit at the ceiling is dropped", 0.5, false, func(a *account.Account) { times(3, a.Deposit) }, account.Stats{Balance: 1, Ceiling: 1, Dropped: 0.5, Requests: 3}, 0},
		{"the last deposit below the ceiling counts whole", 0.75, false, func(a *account.Account) { times(3, a.Deposit) }, account.Stats{Balance: 1.5, Ceiling: 1, Dropped: 0.75, Requests: 3}, 0},
		{"a ceiling", 1, false, func(a *account.Account) { a.SetCeiling(3 * token); times(5, a.Deposit) }, account.Stats{Balance: 3, Ceiling: 3, Dropped: 2, Requests: 5}, 0},
		{"a ceiling is at least a token", 1, false, func(a *account.Account) { a.SetCeiling(-5) }, account.Stats{Ceiling: 1}, 0},
		{"the smallest ratio", 0.000001, false, func(a *account.Account) { times(3, a.Deposit) }, account.Stats{Balance: 0.000003, Ceiling: 1, Requests: 3}, 0},
		{"no ratio", 0, false, func(a *account.Account) { times(3, a.Deposit) }, account.Stats{Ceiling: 1}, 0},
		{"a withdrawal takes a token", 1, false, func(a *account.Account) { a.Bring(2 * token); a.Withdraw() }, account.Stats{Balance: 1, Ceiling: 1, Spent: 1}, 2 * token},
		{"less than a token is refused", 1, false, func(a *account.Account) { a.Bring(token - 1); a.Withdraw() }, account.Stats{Balance: 0.999999, Ceiling: 1, Denied: 1}, token - 1},
		{"a refund gives it back", 1, false, func(a *account.Account) { a.Bring(token); a.Withdraw(); a.Refund() }, account.Stats{Balance: 1, Ceiling: 1, Refunded: 1}, token},
		{"a refund may exceed the ceiling", 1, false, func(a *account.Account) { a.Bring(token); a.Withdraw(); a.Deposit(); a.Refund() }, account.Stats{Balance: 2, Ceiling: 1, Refunded: 1, Requests: 1}, token},
		{"what is brought may exceed the ceiling", 1, false, func(a *account.Account) { a.Bring(9 * token) }, account.Stats{Balance: 9, Ceiling: 1}, 9 * token},
		{"surplus is taken", 1, false, func(a *account.Account) { a.Bring(5 * token); a.TakeAbove(2 * token) }, account.Stats{Balance: 2, Ceiling: 1}, 2 * token},
		{"without surplus nothing is taken", 1, false, func(a *account.Account) { a.Bring(5 * token); a.TakeAbove(7 * token) }, account.Stats{Balance: 5, Ceiling: 1}, 5 * token},
		{"surplus is dropped", 1, false, func(a *account.Account) { a.Bring(5 * token); a.Drop(2 * token) }, account.Stats{Balance: 2, Ceiling: 1, Dropped: 3}, 5 * token},
		{"without surplus nothing is dropped", 1, false, func(a *account.Account) { a.Bring(5 * token); a.Drop(5 * token) }, account.Stats{Balance: 5, Ceiling: 1}, 5 * token},
		{"shut, all is refused", 1, false, func(a *account.Account) { a.Bring(2 * token); a.Shut(true); a.Withdraw(); a.WithdrawFor(2) }, account.Stats{Balance: 2, Ceiling: 1, Denied: 2}, 2 * token},
		{"shut, deposits count", 0.5, false, func(a *account.Account) { a.Shut(true); a.Deposit() }, account.Stats{Balance: 0.5, Ceiling: 1, Requests: 1}, 0},
		{"open again", 1, false, func(a *account.Account) { a.Bring(2 * token); a.Shut(true); a.Shut(false); a.Withdraw() }, account.Stats{Balance: 1, Ceiling: 1, Spent: 1}, 2 * token},
		{"asleep, a token is granted", 1, false, func(a *account.Account) { a.Bring(token); a.Sleep(); a.Withdraw() }, account.Stats{Ceiling: 1, Spent: 1}, token},
		{"without evidence no outcome counts", 1, false, func(a *account.Account) {
			for o := account.Wasted; o <= account.Unaided; o++ {
				a.Settle(o)
			}
		}, account.Stats{Ceiling: 1}, 0},

		{"evidence: a request deposits nothing", 0.5, true, func(a *account.Account) { a.Deposit() }, account.Stats{Ceiling: 1}, 0},
		{"evidence: a success deposits", 0.5, true, func(a *account.Account) { times(3, func() { a.Settle(account.Unaided) }) }, account.Stats{Balance: 1, Ceiling: 1, Dropped: 0.5, Requests: 3}, 0},
		{"evidence: wasted", 0.5, true, func(a *account.Account) { a.Settle(account.Wasted) }, account.Stats{Ceiling: 1}, 0},
		{"evidence: admitted", 0.5, true, func(a *account.Account) { a.Settle(account.Admitted) }, account.Stats{Balance: 1, Ceiling: 1, Repaid: 1}, token},
		{"evidence: helped", 0.5, true, func(a *account.Account) { a.Settle(account.Helped) }, account.Stats{Balance: 2, Ceiling: 1, Repaid: 2}, 2 * token},
		{"evidence: at the ceiling nothing is repaid", 0.5, true, func(a *account.Account) { a.Bring(token); a.Settle(account.Helped) }, account.Stats{Balance: 1, Ceiling: 1}, token},
		{"evidence: below the ceiling all is repaid", 0.5, true, func(a *account.Account) { a.Bring(token - 1); a.Settle(account.Helped) }, account.Stats{Balance: 2.999999, Ceiling: 1, Repaid: 2}, 3*token - 1},
	} {
		a := account.New(tt.ratio, tt.evidence, nil)
		tt.do(a)
		books := a.Books()
		if got := books.Stats(); got != tt.want || books.Brought != tt.brought {
			t.Errorf("%s:\n got %+v, brought %d\nwant %+v, brought %d", tt.name, got, books.Brought, tt.want, tt.brought)
		}
	}
}

// An owner is woken once by the first use after Sleep, and once by the first
// refusal after Arm.
func TestWake(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     func(a *account.Account)
		want   int
		asleep bool
	}{
		{"in use", func(a *account.Account) { a.Deposit(); a.Withdraw(); a.WithdrawFor(3) }, 0, false},
		{"asleep", func(a *account.Account) { a.Sleep() }, 0, true},
		{"a deposit after Sleep", func(a *account.Account) { a.Sleep(); a.Deposit(); a.Deposit() }, 1, false},
		{"a withdrawal after Sleep", func(a *account.Account) { a.Bring(token); a.Sleep(); a.Withdraw(); a.Withdraw() }, 1, false},
		{"a refusal after Sleep", func(a *account.Account) { a.Sleep(); a.WithdrawFor(2); a.WithdrawFor(2) }, 1, false},
		{"a question after Sleep", func(a *account.Account) { a.Sleep(); a.Affords(2) }, 0, true},
		{"a deposit while shut", func(a *account.Account) { a.Shut(true); a.Deposit() }, 0, false},
		{"asleep and shut", func(a *account.Account) { a.Sleep(); a.Shut(true) }, 0, true},
		{"a refusal after Arm", func(a *account.Account) { a.Arm(); a.Withdraw(); a.Withdraw() }, 1, false},
		{"a refused third attempt after Arm", func(a *account.Account) { a.Arm(); a.WithdrawFor(3); a.WithdrawFor(3) }, 1, false},
		{"a grant after Arm", func(a *account.Account) { a.Bring(token); a.Arm(); a.Withdraw() }, 0, false},
		{"armed twice", func(a *account.Account) { a.Arm(); a.Withdraw(); a.Arm(); a.Withdraw() }, 2, false},
	} {
		woken := 0
		a := account.New(0.001, true, func() { woken++ })
		tt.do(a)
		if woken != tt.want || a.Asleep() != tt.asleep {
			t.Errorf("%s: woken %d times and asleep %v, want %d and %v", tt.name, woken, a.Asleep(), tt.want, tt.asleep)
		}
		tt.do(account.New(0.001, true, nil)) // nobody to wake
	}
}

// With evidence, the third and later attempts are refused while the balance is low:
// each needs a quarter more of what the ceiling has above the first three tokens.
func TestNeeded(t *testing.T) {
	for _, tt := range []struct {
		evidence bool
		ceiling  int64
		attempt  int
		want     int64 // the lowest balance that is enough
	}{
		{false, 11, 2, 1}, {false, 11, 6, 1},
		{true, 11, 1, 1}, {true, 11, 2, 1}, {true, 11, 3, 3}, {true, 11, 4, 5}, {true, 11, 5, 7}, {true, 11, 6, 9}, {true, 11, 7, 9},
		{true, 3, 6, 1}, {true, 1, 6, 1}, {true, 7, 3, 2},
	} {
		for _, short := range []int64{0, 1} {
			a := account.New(0.5, tt.evidence, nil)
			a.SetCeiling(tt.ceiling * token)
			a.Bring(tt.want*token - short)
			affords, grants := a.Affords(tt.attempt), a.WithdrawFor(tt.attempt)
			if want := short == 0; affords != want || grants != want {
				t.Errorf("attempt %d below a ceiling of %d, %d short of %d tokens, evidence %v: affords %v, grants %v, want %v",
					tt.attempt, tt.ceiling, short, tt.want, tt.evidence, affords, grants, want)
			}
		}
	}
	a := account.New(0.5, false, nil)
	a.Bring(token)
	a.Shut(true)
	if a.Affords(2) {
		t.Error("affords an attempt while shut")
	}
	if got := a.TakeAbove(token / 4); got != token*3/4 {
		t.Errorf("took %d above a quarter of a token, want the rest", got)
	}
}
