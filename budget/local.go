package budget

import (
	"math"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/budget/internal/account"
)

// A Local is a budget of one process. It needs no closing: a timer runs only while
// the budget is in use, so an unused budget can be garbage collected.
type Local struct {
	account *account.Account
	policy  Policy
	stock   int64 // what may always be kept

	mu    sync.Mutex    // guards what follows; the hot path never takes it
	last  time.Time     // of the update before
	books account.Books // as they were then
	rated time.Time     // when rate was last brought up to date
	since int64         // requests since then
	// requests is the most that the books ever showed: a look may miss some.
	requests int64
	rate     float64 // requests per second
	crumb    float64 // of the floor, below one micro-token
	timer    *time.Timer
}

// tick is how often a budget in use is brought up to date.
const tick = 250 * time.Millisecond

// restored is how long a proportional budget lies still until its stock is
// complete again, as that of a new one.
const restored = 10 * time.Minute

// NewLocal returns a new budget. The error names every field of the policy that is
// wrong.
//
// With a MinPerSecond the budget starts with max(3, MinPerSecond · (Hold + Pool))
// tokens and may keep no more than that. Without one it starts with none and may
// keep one. After the first 250ms with traffic it may keep (Ratio · requests per
// second + MinPerSecond) · (Hold + Pool), if that is more. So make the budget when
// the process starts, not when calls begin to fail.
func NewLocal(p Policy) (*Local, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	p = p.Filled()
	l := &Local{policy: p, stock: account.Token}
	if p.MinPerSecond > 0 {
		l.stock = max(account.FirstCall*account.Token, l.worth(p.MinPerSecond))
	}
	l.account = account.New(p.Ratio, p.Evidence, l.wake)
	if p.Proportional {
		l.account.Reserve(l.stock)
	}
	l.account.SetCeiling(l.stock)
	if p.MinPerSecond > 0 {
		l.account.Bring(l.stock)
	}
	l.account.Sleep()
	return l, nil
}

// worth is what perSecond tokens earn in Hold and Pool.
func (l *Local) worth(perSecond float64) int64 {
	return int64(perSecond * (l.policy.Hold + l.policy.Pool).Seconds() * account.Token)
}

// Deposit adds the Ratio of one request.
func (l *Local) Deposit() { l.account.Deposit() }

// Withdraw takes one token if there is one.
func (l *Local) Withdraw() bool { return l.account.Withdraw() }

// Refund returns the token of a retry that was not sent after all.
func (l *Local) Refund() { l.account.Refund() }

// Settle reports the outcome of an attempt. It has no effect without
// [Policy].Evidence.
func (l *Local) Settle(o Outcome) { l.account.Settle(o) }

// WithdrawFor is Withdraw for the given attempt of a call; the first is 1. Without
// [Policy].Evidence the attempt makes no difference.
func (l *Local) WithdrawFor(attempt int) bool { return l.account.WithdrawFor(attempt) }

// WithdrawAfterTimeout is WithdrawFor for an attempt after one that timed out; the
// two differ with [Policy].Proportional.
func (l *Local) WithdrawAfterTimeout(attempt int) bool {
	return l.account.WithdrawAfterTimeout(attempt)
}

// Affords reports whether WithdrawFor would grant the attempt now. It changes
// nothing.
func (l *Local) Affords(attempt int) bool { return l.account.Affords(attempt) }

// Stats is a snapshot of a budget. Amounts are in tokens.
type Stats struct {
	Balance  float64 // can be spent now
	Ceiling  float64 // the balance above which deposits are dropped
	Spent    float64 // on retries since the start, minus Refunded
	Refunded float64 // for retries that were not sent after all
	Repaid   float64 // for retries that succeeded, with Evidence
	Dropped  float64 // deposits above the ceiling
	Denied   int64   // withdrawals refused
	Requests int64   // first attempts, with Evidence those that succeeded; always 0 if Ratio is 0
}

// Stats returns a snapshot of the budget. The fields are read one after the other,
// so under traffic they agree only roughly.
func (l *Local) Stats() Stats { return Stats(l.account.Books().Stats()) }

// wake starts the timer when a budget is used again. Its stock was complete, so the
// time without use earned nothing.
func (l *Local) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	l.rated = l.last
	if l.timer == nil {
		l.timer = time.AfterFunc(l.pause(), l.update)
		return
	}
	l.timer.Reset(l.pause())
}

// pause is the time until the next update: a tick, or less if the floor completes a
// token earlier.
func (l *Local) pause() time.Duration {
	missing := account.Token - l.account.Books().Balance
	if l.policy.MinPerSecond <= 0 || l.policy.Proportional || missing <= 0 {
		return tick
	}
	d := time.Duration(math.Ceil(float64(missing) / account.Token / l.policy.MinPerSecond * float64(time.Second)))
	return min(max(d, tick/25), tick)
}

// update is called by the timer. It adds the floor for the time that passed, and
// makes the ceiling follow the traffic.
func (l *Local) update() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.account.Asleep() { // for as long as restored
		l.account.Bring(max(l.stock-l.account.Books().Balance, 0))
		return
	}
	now := time.Now()
	elapsed := now.Sub(l.last)
	l.last = now
	books := l.account.Books()
	requests := l.counted(books)
	quiet := requests == 0 && books.Denied == l.books.Denied && books.Spent == l.books.Spent
	l.follow(requests, now)
	ceiling := l.ceiling()
	l.account.SetCeiling(ceiling)
	l.account.Drop(ceiling) // saved under heavier traffic than there is now
	l.addFloor(elapsed, requests)
	l.books = l.account.Books()
	if !quiet || l.rate > 0 {
		l.timer.Reset(l.pause())
		return
	}
	switch {
	case l.policy.MinPerSecond == 0 || l.books.Balance >= l.stock:
		l.account.Sleep()
	case l.policy.Proportional: // without requests nothing is earned
		l.account.Sleep()
		l.timer.Reset(restored)
	default:
		l.timer.Reset(l.pause())
	}
}

// counted is how many requests there were since the update before. With Evidence
// the books show only those that succeeded.
func (l *Local) counted(books account.Books) int64 {
	all := books.Requests()
	if l.policy.Proportional {
		all = l.account.Requests()
	}
	n := max(all-l.requests, 0)
	l.requests += n
	return n
}

// ceiling is what may be kept. Above the reserve of a proportional budget, less than one
// token is of no use.
func (l *Local) ceiling() int64 {
	if l.policy.Proportional {
		if above := l.worth(l.policy.Ratio * l.rate); above >= account.Token {
			return l.stock + above
		}
		return l.stock
	}
	return max(l.stock, l.worth(l.policy.Ratio*l.rate+l.policy.MinPerSecond))
}

// follow keeps the request rate. It rises at once, so that the ceiling is high
// enough when a burst fails, and falls with a time constant of a second. It is
// measured over whole ticks, because a few requests in a moment are not a rate.
func (l *Local) follow(requests int64, now time.Time) {
	l.since += requests
	elapsed := now.Sub(l.rated)
	if elapsed < tick {
		return
	}
	rate := float64(l.since) / elapsed.Seconds()
	if rate < l.rate {
		rate += (l.rate - rate) * math.Exp(-elapsed.Seconds())
	}
	if rate < 1e-3 {
		rate = 0
	}
	l.rated, l.since, l.rate = now, 0, rate
}

// addFloor adds what the floor earned, up to the stock.
func (l *Local) addFloor(elapsed time.Duration, requests int64) {
	if l.policy.MinPerSecond == 0 {
		return
	}
	earned := l.policy.MinPerSecond * elapsed.Seconds() * account.Token
	if l.policy.Proportional {
		earned = min(earned, l.policy.Ratio*float64(requests)*account.Token)
	}
	earned += l.crumb
	room := max(l.stock-l.account.Books().Balance, 0)
	if earned > float64(room) { // after a long sleep it may overflow an int64
		l.crumb = 0
		l.account.Bring(room)
		return
	}
	n := int64(earned)
	l.crumb = earned - float64(n)
	l.account.Bring(n)
}
