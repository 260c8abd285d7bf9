package budget

import (
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/datapunk/evenkeel/headers/service"
)

// PerService returns a func that gives each service a [Local] budget of its own. It
// is the Budget method of [NewServices].
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
	known *service.Set[Local]

	rest   Policy // of the services without room
	mu     sync.Mutex
	shared *Local // by those; nil until there are any
}

// NewServices returns an empty set of budgets for at most maxServices services, at
// least 1. When it is full, a new service makes room by dropping unused budgets. A
// budget in use is never dropped, so a flood of names cannot replace a spent budget
// by a fresh one. A dropped budget goes on working for callers that still hold it.
//
// Services for which there is no room share one budget. One of them that fails at
// every call would soon use up what a single service may spend. So the MinPerSecond
// of the shared budget is that of maxServices services: the floors of all budgets
// together grant at most twice what those of maxServices services would.
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
	s := &Services{rest: p}
	s.rest.MinPerSecond = min(p.MinPerSecond*float64(maxServices), maxPerSecond)
	s.rest.Proportional = false // it is one budget, however many services it has
	s.known = service.NewSet(maxServices, func(string) *Local { return local(p) }, (*Local).idle)
	return s, nil
}

// local is NewLocal for a policy that was validated.
func local(p Policy) *Local {
	l, _ := NewLocal(p)
	return l
}

// Budget returns the budget of a service.
func (s *Services) Budget(service string) Budget {
	if l := s.known.Get(service); l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared == nil {
		s.shared = local(s.rest)
	}
	return s.shared
}

// All returns the services that have budgets, with a snapshot of each. Those that
// share one come last, under the name service.Others.
func (s *Services) All() iter.Seq2[string, Stats] {
	return func(yield func(string, Stats) bool) {
		for name, l := range s.known.All() {
			if !yield(name, l.Stats()) {
				return
			}
		}
		s.mu.Lock()
		shared := s.shared
		s.mu.Unlock()
		if shared != nil {
			yield(service.Others, shared.Stats())
		}
	}
}

// idle reports whether a budget is as good as new: no timer runs and its stock is
// complete.
func (l *Local) idle() bool {
	return l.account.Asleep() && l.account.Books().Balance >= l.stock
}
