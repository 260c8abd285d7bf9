package fleet

import (
	"errors"
	"fmt"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
)

// PerService returns a func that gives each service a budget of its own, for at
// most maxServices of them. The others share one.
func (f *Fleet) PerService(p budget.Policy, maxServices int) (func(name string) *Budget, error) {
	err := p.Validate()
	if maxServices < 1 {
		err = errors.Join(fmt.Errorf("maxServices %d: want at least 1", maxServices), err)
	}
	if err != nil {
		return nil, err
	}
	s := &services{fleet: f, policy: p.Filled(), limit: maxServices}
	return s.budget, nil
}

type services struct {
	fleet  *Fleet
	policy budget.Policy
	limit  int

	// Guarded by the fleet's lock.
	count int
	spare *Budget // of the services without room
}

func (s *services) budget(name string) *Budget {
	if b := s.fleet.find(name); b != nil {
		return b
	}
	return s.add(name)
}

func (s *services) add(name string) *Budget {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.find(name); b != nil {
		return b
	}
	if s.count >= s.limit || checkName(name) != nil || name == service.Others || f.ended {
		return s.others()
	}
	s.count++
	return f.add(name, s.policy, s)
}

// others returns the budget of those for whom there is no room.
func (s *services) others() *Budget {
	if s.spare == nil {
		s.spare = s.fleet.add(service.Others, s.policy, nil)
	}
	return s.spare
}

// forget takes a budget that is not in use off the list, unless it is to be
// kept. It reports whether it did.
func (f *Fleet) forget(b *Budget) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.services == nil {
		return false
	}
	if f.known.CompareAndDelete(b.name, b) {
		b.services.count--
	}
	return true
}

// keep makes a budget of PerService one that is never forgotten, with the
// lock held.
func (f *Fleet) keep(b *Budget) {
	if b.services != nil {
		b.services.count--
		b.services = nil
	}
}
