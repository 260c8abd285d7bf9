package budgettest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// evident is a budget that is told what retries come to.
type evident interface {
	budget.Budget
	budget.Pricer
	budget.Settler
}

// asEvident returns the budget as one that is told. It is nil for one that does
// not have to be and is not.
func (cfg Config) asEvident(b budget.Budget) (evident, error) {
	e, ok := b.(evident)
	if !ok && cfg.Policy.Evidence {
		return nil, errors.New("a budget with Evidence has no Settle or no WithdrawFor: want a budget.Settler and a budget.Pricer")
	}
	return e, nil
}

func settle(b budget.Budget, o budget.Outcome) {
	if s, ok := b.(budget.Settler); ok {
		s.Settle(o)
	}
}

func withdrawFor(b budget.Budget, attempt int) bool {
	if w, ok := b.(budget.Pricer); ok {
		return w.WithdrawFor(attempt)
	}
	return b.Withdraw()
}

// request is one that pays for a part of a retry.
func (cfg Config) request(b budget.Budget) {
	b.Deposit()
	if cfg.Policy.Evidence {
		settle(b, budget.Unaided)
	}
}

func (tr *trace) request(b budget.Budget) {
	Config{Policy: budget.Policy{Evidence: tr.evidence}}.request(b)
}

// settle has some of the retries under way end, in some way, and some requests
// fail, for which nothing is due.
func (tr *trace) settle(b budget.Budget, r *rand.Rand, s *step) {
	tr.open += s.retries
	for range r.IntN(tr.open + 1) {
		tr.open--
		switch {
		case r.Float64() > tr.helps:
			settle(b, budget.Wasted)
		case r.IntN(3) == 0:
			settle(b, budget.Admitted)
			s.repaid++
		default:
			settle(b, budget.Helped)
			s.repaid += 2
		}
	}
	for range r.IntN(20) {
		b.Deposit()
	}
}

// drain leaves a budget in use without a token.
func drain(b budget.Budget, cfg Config) {
	for !b.Withdraw() {
		cfg.request(b)
		time.Sleep(time.Second)
	}
	for b.Withdraw() {
	}
}

// granted counts the tokens that can be taken for an attempt, up to most.
func granted(b budget.Budget, attempt, most int) (n int) {
	for n < most && withdrawFor(b, attempt) {
		n++
	}
	return n
}

func evidence(t *testing.T, cfg Config) error {
	b := cfg.New(t)
	if _, err := cfg.asEvident(b); err != nil {
		return err
	}
	if !cfg.Policy.Evidence {
		drain(b, cfg)
		for _, o := range []budget.Outcome{budget.Unaided, budget.Admitted, budget.Helped, budget.Wasted} {
			settle(b, o)
			if b.Withdraw() {
				return fmt.Errorf("without Evidence the outcome %d earned a token", o)
			}
		}
		return nil
	}
	retries := 0
	for range 10_000 {
		b.Deposit()
		if b.Withdraw() {
			retries++
			settle(b, budget.Wasted)
		}
	}
	if float64(retries) > cfg.Start+cfg.slack() {
		return fmt.Errorf("%d retries for requests that all failed, want at most the %.3f of a fresh budget", retries, cfg.Start)
	}
	return nil
}

func repayment(t *testing.T, cfg Config) error {
	if !cfg.Policy.Evidence {
		return nil // which evidence has looked at
	}
	b := cfg.New(t)
	if _, err := cfg.asEvident(b); err != nil {
		return err
	}
	drain(b, cfg)
	for range 100 {
		for _, tt := range []struct {
			outcome budget.Outcome
			name    string
			want    int
		}{{budget.Wasted, "was wasted", 0}, {budget.Admitted, "was admitted", 1}, {budget.Helped, "helped", 2}} {
			settle(b, tt.outcome)
			if n := granted(b, 2, 100); n != tt.want {
				return fmt.Errorf("a retry that %s brought %d tokens to an empty budget, want %d", tt.name, n, tt.want)
			}
		}
	}
	return nil
}

// affords compares what a budget says of attempts with what it grants, if it
// says anything, and returns how many it granted.
func affords(b budget.Budget) (n int, err error) {
	e, ok := b.(budget.Afforder)
	if !ok {
		return 0, nil
	}
	for i, refused := 0, 0; refused < 10; i++ {
		attempt := 6 - i%5
		says, does := e.Affords(attempt), withdrawFor(b, attempt)
		if says != does {
			return n, fmt.Errorf("Affords(%d) is %v, WithdrawFor %v", attempt, says, does)
		}
		if does {
			n++
		} else {
			refused++
		}
	}
	return n, nil
}

// attempts has two budgets under the same traffic spend what they have: one on
// second attempts alone, one on sixth ones as long as it grants any.
func attempts(t *testing.T, cfg Config) error {
	one, other := cfg.New(t), cfg.New(t)
	if e, err := cfg.asEvident(one); e == nil {
		return err
	}
	for range 400 {
		for range 20 {
			cfg.request(one)
			cfg.request(other)
		}
		time.Sleep(25*time.Millisecond + time.Microsecond) // never with a tick of the budget's
	}
	const most = 1_000_000
	all, err := affords(one)
	if err != nil {
		return err
	}
	all += granted(one, 2, most)
	late := granted(other, 6, most)
	for range 100 {
		if withdrawFor(other, 6) {
			late++
		}
	}
	early := granted(other, 2, most)
	// Two budgets that fleets keep need not be equal to the last token.
	if sum, off := late+early, 2+all/20; sum < all-off || sum > all+off {
		return fmt.Errorf("%d sixth and then %d second attempts were granted, want together about %d", late, early, all)
	}
	switch {
	case cfg.Policy.Evidence && all > 8 && early == 0:
		return fmt.Errorf("with Evidence sixth attempts took all of %d tokens", all)
	case !cfg.Policy.Evidence && early > 2:
		return fmt.Errorf("without Evidence sixth attempts left %d of %d tokens", early, all)
	}
	return nil
}
