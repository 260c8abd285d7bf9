package budget

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// PerService returns a func that gives each service a [Local] budget of its
// own: the Budget method of [NewServices].
func PerService(p Policy, maxServices int) (func(service string) Budget, error) {
	s, err := NewServices(p, maxServices)
	if err != nil {
		return nil, err
	}
	return s.Budget, nil
}

// Services holds a [Local] budget for each service. It is safe for concurrent
// use.
type Services struct {
	policy Policy
	limit  int
	known  sync.Map // string to *Local

	mu       sync.Mutex // guards what follows, and additions to known
	count    int
	overflow *Local
	looked   time.Time // when drop last went through all of them
}

// NewServices returns an empty set of budgets. It keeps at most maxServices of
// them; room for a new one is made by dropping budgets that have not been used
// for a while, never one in use, so that a flood of names cannot wipe out a
// spent budget. Services for which there is no room share one budget. A budget
// that was dropped goes on working for who still holds it.
func NewServices(p Policy, maxServices int) (*Services, error) {
	var errs []error
	if err := p.Validate(); err != nil {
		errs = append(errs, err)
	}
	if maxServices < 1 {
		errs = append(errs, fmt.Errorf("budget: PerService: maxServices %d: want at least 1", maxServices))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Services{policy: p, limit: maxServices}, nil
}

// lookEvery bounds what a flood of new names costs.
const lookEvery = time.Second

// Budget returns the budget of a service.
func (s *Services) Budget(service string) Budget {
	if l, ok := s.known.Load(service); ok {
		return l.(*Local)
	}
	return s.add(service)
}

func (s *Services) add(service string) Budget {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.known.Load(service); ok {
		return l.(*Local)
	}
	if s.count >= s.limit && !s.drop() {
		if s.overflow == nil {
			s.overflow, _ = NewLocal(s.policy)
		}
		return s.overflow
	}
	l, _ := NewLocal(s.policy) // the policy was validated
	s.known.Store(service, l)
	s.count++
	return l
}

// All returns the services that have budgets, with a look at each. Those that
// share one come last, as "(other services)".
func (s *Services) All() iter.Seq2[string, Stats] {
	return func(yield func(string, Stats) bool) {
		more := true
		s.known.Range(func(service, l any) bool {
			more = yield(service.(string), l.(*Local).Stats())
			return more
		})
		s.mu.Lock()
		shared := s.overflow
		s.mu.Unlock()
		if more && shared != nil {
			yield("(other services)", shared.Stats())
		}
	}
}

// drop removes the budgets that lie still, if it has not just tried.
func (s *Services) drop() bool {
	now := time.Now()
	if now.Sub(s.looked) < lookEvery {
		return false
	}
	s.looked = now
	dropped := false
	s.known.Range(func(service, l any) bool {
		if l.(*Local).idle() {
			s.known.Delete(service)
			s.count--
			dropped = true
		}
		return true
	})
	return dropped
}

// idle reports whether a budget is as if it were new: no timer runs and
// nothing of its stock is missing.
func (l *Local) idle() bool { return l.account.Asleep() }
