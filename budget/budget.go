package budget

import (
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// A Budget decides whether one more retry may be sent. Its methods are safe
// for concurrent use.
//
// The retry loop of package transport also uses the methods of [Refunder], [Pricer],
// [TimeoutPricer], [Afforder], [Settler] and [Fetcher] where a budget has them. [Local]
// has the first five.
type Budget interface {
	// Deposit says that a first attempt was sent. Retries deposit nothing.
	Deposit()
	// Withdraw asks whether one retry, or one hedge, may be sent. It never
	// blocks and reads no clock.
	Withdraw() bool
}

// A Refunder is a budget that takes a token back. Without it, a retry that was
// paid for and then not sent stays paid for.
type Refunder interface {
	// Refund returns the token of a retry that was not sent after all.
	Refund()
}

// A Pricer is a budget in which a retry may cost more or less by its place in
// the call. Without it, [Budget.Withdraw] is asked for every retry.
type Pricer interface {
	// WithdrawFor is Withdraw for the given attempt of a call. The first
	// attempt is 1, so the first retry is 2.
	WithdrawFor(attempt int) bool
}

// A TimeoutPricer is a budget that grants fewer retries after a timeout than after an
// error, because timeouts are the sign of an overload, and retries add to it. If it
// refuses, the retry loop asks [Pricer] instead and sends the retry only once another
// call has succeeded. Without it, Pricer is asked for every retry.
type TimeoutPricer interface {
	// WithdrawAfterTimeout is WithdrawFor after an attempt that timed out.
	WithdrawAfterTimeout(attempt int) bool
}

// An Afforder is a budget that can be asked without paying. Without it, a retry
// is not taken to be affordable before it is paid for.
type Afforder interface {
	// Affords reports whether a withdrawal for the given attempt would be
	// granted now. It changes nothing.
	Affords(attempt int) bool
}

// A Settler is a budget that depends on what attempts come to, as those with
// [Policy].Evidence do.
type Settler interface {
	// Settle reports the outcome of an attempt. It is called at most once for
	// each retry that was granted, and never for one that was refunded.
	Settle(Outcome)
}

// A Fetcher is a budget that fetches credit after it has refused, as that of a fleet
// does. Without it, a second refusal after the wait before a retry is final.
type Fetcher interface {
	// Fetching returns a channel that is closed when the credit that a refusal asked for
	// has come, or will not come. It returns nil if no credit was asked for, or if the
	// fleet is out of reach. The retry loop waits for it no longer than BaseDelay of the
	// transport.Policy.
	Fetching() <-chan struct{}
}

// The defaults of the stock, as seconds of budget.
const (
	defaultHold = 500 * time.Millisecond
	defaultPool = time.Second
)

// maxRatio and maxPerSecond keep all sums of credit far from overflow.
const (
	maxRatio     = 100
	maxPerSecond = 1e9
	maxStock     = time.Hour
)

// A Policy says how much credit a budget earns and how much it may keep. Ratio
// and MinPerSecond must not both be 0.
//
// The stock follows the traffic, so a new budget holds only a few retries. A Local
// with a MinPerSecond starts with what that earns in Hold and Pool, at least 3 tokens. A
// Local without one starts empty, and so does a process that shares a budget.
type Policy struct {
	// Ratio is how many retries each request pays for, 0 to 100. The default is
	// 0: requests pay for none.
	Ratio float64
	// MinPerSecond is how many retries per second are allowed in any case, 0 to
	// 1e9. In a shared budget it is that of the fleet. The default is 0.
	MinPerSecond float64
	// Hold is how much credit a process keeps, as the time in which it earns it, up
	// to an hour. The default is 500ms.
	Hold time.Duration
	// Pool is how much more the fleet keeps in common, as the time in which it earns
	// it, up to an hour. A Local budget keeps it itself. The default is 1s.
	Pool time.Duration
	// Evidence makes credit depend on outcomes. A first attempt pays its Ratio only
	// if it succeeds. A retry that succeeds soon gets its token back, and another
	// one if it followed an error or a timeout. The third and later attempts of a
	// call are refused while the balance is low. So Ratio limits the retries that do
	// not help, in addition to one for each that does. If nothing helps, the credit is
	// soon used up. The Ratio can be smaller than without Evidence. The caller must
	// report outcomes to a [Settler], as package transport does. The package
	// documentation has the exact limit. The default is off.
	Evidence bool
	// Proportional bounds the retries that did not help by the traffic of the process, so
	// that the retries of many processes do not add up to more than their calls.
	// MinPerSecond then earns no more than Ratio for each first attempt, and what it earns
	// is not for retries after timeouts. Those are paid from what is kept beyond that:
	// Ratio for each first attempt in Hold and Pool that succeeded. It needs Evidence,
	// Ratio and MinPerSecond. A budget that a fleet shares refuses it, because its
	// MinPerSecond does not multiply with the processes. The default is false; [Default]
	// sets it.
	Proportional bool
}

// Default returns the policy of the budgets that transport.New gives each service
// by default: Ratio 0.05, MinPerSecond 1, Evidence, Proportional, Hold 2s and Pool
// 4s. Retries that help are free. Of those that do not, there are at most 5 % of
// the requests that succeed, plus 5 % of all requests up to one per second, plus a
// reserve, because errors come in clumps: 6 retries, and 0.3 s of the requests.
// Only the latter is for retries after timeouts.
func Default() Policy {
	return Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true, Proportional: true, Hold: 2 * time.Second, Pool: 4 * time.Second}
}

// Validate returns an error that names every wrong field with its value.
func (p Policy) Validate() error {
	var errs []error
	bad := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("budget: Policy.%s %v: want %s", field, value, want))
	}
	// The comparisons are false for NaN.
	if !(p.Ratio >= 0 && p.Ratio <= maxRatio) {
		bad("Ratio", p.Ratio, fmt.Sprintf("0 to %d", maxRatio))
	}
	if !(p.MinPerSecond >= 0 && p.MinPerSecond <= maxPerSecond) {
		bad("MinPerSecond", p.MinPerSecond, fmt.Sprintf("0 to %.0f", float64(maxPerSecond)))
	}
	if p.Ratio == 0 && p.MinPerSecond == 0 {
		errs = append(errs, errors.New("budget: Policy.Ratio 0 and Policy.MinPerSecond 0: want one of them above 0"))
	}
	if p.Proportional && (!p.Evidence || p.Ratio == 0 || p.MinPerSecond == 0) {
		bad("Proportional", p.Proportional, "Evidence, and Ratio and MinPerSecond above 0")
	}
	if p.Ratio > 0 && p.Ratio*account.Token < 1 {
		bad("Ratio", p.Ratio, "at least 0.000001, or 0")
	}
	if p.Hold < 0 || p.Hold > maxStock {
		bad("Hold", p.Hold, fmt.Sprintf("0 to %v", maxStock))
	}
	if p.Pool < 0 || p.Pool > maxStock {
		bad("Pool", p.Pool, fmt.Sprintf("0 to %v", maxStock))
	}
	return errors.Join(errs...)
}

// Filled returns the policy with defaults in place of a zero Hold and Pool.
func (p Policy) Filled() Policy {
	if p.Hold == 0 {
		p.Hold = defaultHold
	}
	if p.Pool == 0 {
		p.Pool = defaultPool
	}
	return p
}

// An Outcome is the outcome of an attempt: of a retry that a budget granted, or of
// a first attempt that succeeded.
type Outcome = account.Outcome

const (
	// Wasted is a retry that failed too, or whose response came late. It is no
	// evidence that the service can bear more retries.
	Wasted Outcome = account.Wasted
	// Admitted is a retry that succeeded soon after the server had refused the
	// attempt before it: with a 429, or with a 503 that says when or whether to
	// come back.
	Admitted Outcome = account.Admitted
	// Helped is a retry that succeeded soon after an error or a timeout.
	Helped Outcome = account.Helped
	// Unaided is a first attempt that succeeded soon. It deposits the Ratio, so
	// that a service where everything fails earns no retries.
	Unaided Outcome = account.Unaided
)
