// Package budgettest checks that a retry budget keeps its promise, in the
// manner of testing/fstest: for budgets of one's own, such as one that a
// database shares.
package budgettest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// A Config says which budget to check and what it promises.
type Config struct {
	// New returns a fresh budget with the Policy.
	New func(t *testing.T) budget.Budget
	// Policy is what the budget was made with, with no field left 0 that has
	// a default.
	Policy budget.Policy
	// Start is the most credit, in tokens, that a fresh budget may have.
	Start float64
	// Keep is the most credit that it may keep whatever the traffic is.
	Keep float64
}

// Run checks the budget. Each check runs in a synctest bubble, so that time
// costs nothing: a budget that talks to a network needs a fake one.
//
//   - conservation: since the start, retries <= Ratio · requests +
//     MinPerSecond · time + Start
//   - window: the same for every window of time, with the stock that may be
//     kept at its start instead of Start
//   - liveness: what requests and time earned can be withdrawn
//   - nonblocking: no call lets time pass, also on an empty budget
//   - concurrency: all of that holds with many goroutines
//   - refund: a token given back can be taken again, and only once
//   - allocations: Deposit and Withdraw make none
//
// A Policy with Evidence needs the methods Settle(budget.Outcome) and
// WithdrawFor(attempt int) bool. Then the requests of the checks above are
// those whose first attempt succeeded, what retries are repaid is earned too,
// and two tokens may be kept besides. A budget that has the methods is checked
// for them whatever its Policy is:
//
//   - evidence: requests that fail and retries that are wasted earn nothing;
//     without Evidence no outcome does
//   - repayment: a retry that was admitted brings its token back, one that
//     helped another one too
//   - attempts: WithdrawFor takes nothing if it refuses, leaves the last of the
//     credit to the second attempts with Evidence, and is Withdraw without;
//     Affords(attempt int) bool, where there is one, says what it would grant
func Run(t *testing.T, cfg Config) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := c.run(t, cfg); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// checks return errors, so that a test of the suite can see them fail.
var checks = []struct {
	name string
	run  func(*testing.T, Config) error
}{
	{"conservation", func(t *testing.T, cfg Config) error { return schedules(t, cfg, (*trace).conserved) }},
	{"window", func(t *testing.T, cfg Config) error { return schedules(t, cfg, (*trace).windowed) }},
	{"liveness", liveness},
	{"nonblocking", nonblocking},
	{"concurrency", concurrency},
	{"refund", refund},
	{"allocations", allocations},
	{"evidence", evidence},
	{"repayment", repayment},
	{"attempts", attempts},
}

// slack covers the rounding of a ratio to micro-tokens, and the quarter of a
// second in which a floor may be behind.
func (cfg Config) slack() float64 { return 0.001 + cfg.Policy.MinPerSecond/4 }

// schedules runs random traffic and has its trace checked.
func schedules(t *testing.T, cfg Config, check func(*trace, Config) error) error {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		tr := &trace{start: time.Now(), evidence: cfg.Policy.Evidence}
		if tr.evidence {
			tr.helps = r.Float64()
		}
		tr.run(cfg.New(t), r, 400)
		if err := check(tr, cfg); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

// A trace is what happened to a budget. Steps at the same time are one.
type trace struct {
	start    time.Time
	evidence bool
	helps    float64 // the chance that a retry succeeds
	steps    []step
	open     int // retries of which is not known yet what they came to
}

type step struct {
	at                time.Duration
	requests, retries int
	repaid            int // tokens, at most
}

// run mixes calm, load, failure and pauses, and ends with a long calm in which
// a budget might save up for a burst.
func (tr *trace) run(b budget.Budget, r *rand.Rand, steps int) {
	for range steps {
		s := step{at: time.Since(tr.start)}
		for range r.IntN(1 << r.IntN(8)) {
			tr.request(b)
			s.requests++
		}
		for range r.IntN(1 << r.IntN(8)) {
			if b.Withdraw() {
				s.retries++
			}
		}
		if tr.evidence {
			tr.settle(b, r, &s)
		}
		tr.steps = append(tr.steps, s)
		time.Sleep(time.Duration(r.IntN(1<<r.IntN(13))) * time.Millisecond)
	}
	for range 5000 {
		tr.request(b)
		tr.steps = append(tr.steps, step{at: time.Since(tr.start), requests: 1})
		time.Sleep(30 * time.Millisecond)
	}
	last := step{at: time.Since(tr.start)}
	for last.retries < 1e6 && b.Withdraw() {
		last.retries++
	}
	tr.steps = append(tr.steps, last)
}

func (tr *trace) conserved(cfg Config) error {
	var requests, retries, repaid int
	for _, s := range tr.steps {
		requests += s.requests
		retries += s.retries
		repaid += s.repaid
		earned := float64(repaid) + cfg.Policy.Ratio*float64(requests) + cfg.Policy.MinPerSecond*s.at.Seconds() + cfg.Start
		if float64(retries) > earned+cfg.slack() {
			return fmt.Errorf("after %v: %d retries for %d requests, which earned %.3f", s.at, retries, requests, earned)
		}
	}
	return nil
}

// windowed looks at all windows at once: x is what was spent beyond what was
// earned since the start, so its rise from the lowest point before is the
// largest excess of any window that ends here.
func (tr *trace) windowed(cfg Config) error {
	stock := max(cfg.Keep, cfg.Start, (cfg.Policy.Ratio*tr.peak()+cfg.Policy.MinPerSecond)*(cfg.Policy.Hold+cfg.Policy.Pool).Seconds()) + cfg.Policy.Ratio
	if tr.evidence {
		stock += 2
	}
	var x, lowest float64
	var before time.Duration
	for _, s := range tr.steps {
		x -= cfg.Policy.MinPerSecond * (s.at - before).Seconds()
		before = s.at
		lowest = min(lowest, x)
		x += float64(s.retries-s.repaid) - cfg.Policy.Ratio*float64(s.requests)
		if x-lowest > stock+cfg.slack() {
			return fmt.Errorf("in a window up to %v: %.3f retries more than were earned, want at most the stock of %.3f", s.at, x-lowest, stock)
		}
	}
	return nil
}

// peak is the highest rate of requests per second that a budget may have seen
// by looking at a quarter of a second or more.
func (tr *trace) peak() float64 {
	const look = 250 * time.Millisecond
	most, sum, from := 0, 0, 0
	for _, s := range tr.steps {
		sum += s.requests
		for s.at-tr.steps[from].at > look {
			sum -= tr.steps[from].requests
			from++
		}
		most = max(most, sum)
	}
	return 2 * float64(most) / look.Seconds()
}

// liveness fails a budget that keeps its promise by never granting anything.
func liveness(t *testing.T, cfg Config) error {
	b := cfg.New(t)
	requests, retries := 0, 0
	started := time.Now()
	for time.Since(started) < 20*time.Second {
		for range 10 {
			cfg.request(b)
			requests++
		}
		for b.Withdraw() {
			retries++
		}
		time.Sleep(50 * time.Millisecond)
	}
	earned := cfg.Policy.Ratio*float64(requests) + cfg.Policy.MinPerSecond*time.Since(started).Seconds()
	if float64(retries) < 0.95*earned-2 {
		return fmt.Errorf("a steady failure got %d retries, want about the %.0f it earned", retries, earned)
	}
	return nil
}

func nonblocking(t *testing.T, cfg Config) error {
	b := cfg.New(t)
	started := time.Now()
	for range 10_000 {
		b.Withdraw() // soon empty
	}
	cfg.request(b)
	b.Withdraw()
	withdrawFor(b, 6)
	settle(b, budget.Helped)
	if took := time.Since(started); took != 0 {
		return fmt.Errorf("withdrawing from an empty budget took %v", took)
	}
	return nil
}

func concurrency(t *testing.T, cfg Config) error {
	const goroutines, each = 16, 2000
	b := cfg.New(t)
	granted, repaid := make([]int, goroutines), make([]int, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				cfg.request(b)
				for b.Withdraw() {
					granted[g]++
					if cfg.Policy.Evidence && granted[g]%3 == 0 {
						settle(b, budget.Helped)
						repaid[g] += 2
					}
				}
			}
		})
	}
	wg.Wait() // no time passes in a bubble while anything runs
	retries, more := 0, 0
	for g := range goroutines {
		retries += granted[g]
		more += repaid[g]
	}
	if earned := float64(more) + cfg.Policy.Ratio*goroutines*each + cfg.Start; float64(retries) > earned+cfg.slack() {
		return fmt.Errorf("%d goroutines got %d retries, %.1f were earned", goroutines, retries, earned)
	}
	return nil
}

func refund(t *testing.T, cfg Config) error {
	b := cfg.New(t)
	r, ok := b.(budget.Refunder)
	if !ok {
		return nil // only a budget that is part of All needs it
	}
	drain(b, cfg)
	for range 100 {
		r.Refund()
		if !b.Withdraw() {
			return fmt.Errorf("a token that was given back could not be taken again")
		}
		if b.Withdraw() {
			return fmt.Errorf("a token that was given back could be taken twice")
		}
	}
	return nil
}

func allocations(t *testing.T, cfg Config) error {
	b := cfg.New(t)
	b.Deposit() // may set things up
	if n := testing.AllocsPerRun(100, func() { b.Deposit(); b.Withdraw() }); n > 0 {
		return fmt.Errorf("a deposit and a withdrawal allocate %v times", n)
	}
	e, ok := b.(evident)
	if !ok {
		return nil
	}
	if n := testing.AllocsPerRun(100, func() { e.Settle(budget.Unaided); e.WithdrawFor(3); e.Settle(budget.Wasted) }); n > 0 {
		return fmt.Errorf("a withdrawal for an attempt, and what it comes to, allocate %v times", n)
	}
	return nil
}
