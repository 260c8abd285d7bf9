package redisbudget

import (
	"errors"
	"fmt"

	"github.com/datapunk/evenkeel/budget"
)

// PerService returns a func that gives each service, or tenant, a budget of
// its own that the fleet shares. A service for which [Fleet.Budget] made one
// gets that, whatever its policy is.
//
// It keeps at most maxServices of them. Those that were not used
// for ten seconds have handed their credit back and make room for others; a
// service for which there is no room, or whose name has no length that
// [Fleet.Budget] takes, shares one budget with all such in the fleet. So a
// flood of names costs neither memory nor another's credit.
//
// The error names every field of the policy that is wrong, and a maxServices
// below 1.
func (f *Fleet) PerService(p budget.Policy, maxServices int) (func(service string) budget.Budget, error) {
	err := p.Validate()
	if maxServices < 1 {
		err = errors.Join(fmt.Errorf("maxServices %d: want at least 1", maxServices), err)
	}
	if err != nil {
		return nil, fmt.Errorf("redisbudget: PerService: %w", err)
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
	spare *Shared // of the services without room
}

func (s *services) budget(service string) budget.Budget {
	if b, ok := s.fleet.known.Load(service); ok {
		return b.(*Shared)
	}
	return s.add(service)
}

func (s *services) add(service string) budget.Budget {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.known.Load(service); ok {
		return b.(*Shared)
	}
	if s.count >= s.limit || checkName(service) != nil || f.ended {
		return s.overflow()
	}
	b := f.add(service, escape(service), s.policy, s)
	s.count++
	return b
}

// overflow returns the budget of those for whom there is no room. Like any
// other it is found under its name, which is none that a service can have.
func (s *services) overflow() budget.Budget {
	if s.spare == nil {
		s.spare = s.fleet.add(overflow, overflow, s.policy, nil)
	}
	return s.spare
}

// forget takes a budget that is not in use off the list, unless it is to be
// kept. It reports whether it did.
func (f *Fleet) forget(b *Shared) bool {
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
func (f *Fleet) keep(b *Shared) {
	if b.services != nil {
		b.services.count--
		b.services = nil
	}
}
