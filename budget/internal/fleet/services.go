package fleet

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
)

// kindMark ends the kind in the name of a budget.
const kindMark = "~"

// CutKind splits the name of a budget into a kind and the name within it, such as
// tenant~acme. A name without a mark is that of a service, whose kind is "". The name of
// a service that has a mark itself begins with one.
func CutKind(name string) (kind, short string) {
	if kind, short, ok := strings.Cut(name, kindMark); ok {
		return kind, short
	}
	return "", name
}

// JoinKind is the opposite of CutKind.
func JoinKind(kind, short string) string {
	if kind == "" && !strings.Contains(short, kindMark) {
		return short
	}
	return kind + kindMark + short
}

// Per returns a func that gives each name of a kind a budget of its own, for at most
// limit of them. The others share one. A fleet has one set of each kind: a second call
// returns the same, and an error if it wants another policy or limit.
func (f *Fleet) Per(kind string, p budget.Policy, limit int) (func(name string) *Budget, error) {
	err := checkPolicy(p)
	if limit < 1 {
		err = errors.Join(fmt.Errorf("room for %d names: want at least 1", limit), err)
	}
	if strings.Contains(kind, kindMark) || len(kind) > MaxName/4 {
		err = errors.Join(fmt.Errorf("the kind %.80q: want at most %d bytes without %s", kind, MaxName/4, kindMark), err)
	}
	if err != nil {
		return nil, err
	}
	p = p.Filled()
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sets[kind]; s == nil {
		f.sets[kind] = &services{fleet: f, kind: strings.Clone(kind), policy: p, limit: limit}
	} else if s.policy != p || s.limit != limit {
		return nil, fmt.Errorf("the kind %q has a policy of %+v and a limit of %d: want the same again, or another kind", kind, s.policy, s.limit)
	}
	return f.sets[kind].budget, nil
}

// services is a set of budgets of one kind.
type services struct {
	fleet  *Fleet
	kind   string
	policy budget.Policy
	limit  int
	known  sync.Map // short name to *Budget

	// Guarded by the fleet's lock.
	count int
	spare *Budget // of the names without room
}

func (s *services) budget(short string) *Budget {
	if b, ok := s.known.Load(short); ok {
		return b.(*Budget)
	}
	return s.add(short)
}

func (s *services) add(short string) *Budget {
	f := s.fleet
	name := JoinKind(s.kind, short)
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.find(name)
	if b == nil {
		if s.count >= s.limit || short == "" || short == service.Others || checkName(name) != nil || f.ended {
			return s.others()
		}
		s.count++
		b = f.add(name, s.policy, s)
	}
	_, short = CutKind(b.name) // the caller's may be part of a URL that is large
	s.known.Store(short, b)
	return b
}

// others returns the budget of those for whom there is no room.
func (s *services) others() *Budget {
	if s.spare == nil {
		s.spare = s.fleet.add(JoinKind(s.kind, service.Others), s.policy, nil)
	}
	return s.spare
}

// forget takes a budget that is not in use off the list, unless it is to be
// kept. It reports whether it did. The lock of the budget is held.
func (f *Fleet) forget(b *Budget) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.services == nil {
		return false
	}
	if f.known.CompareAndDelete(b.name, b) {
		b.services.count--
		_, short := CutKind(b.name)
		b.services.known.CompareAndDelete(short, b)
		f.noteSwitch(b.name, b.ledger.switched)
		f.rest(b)
	}
	return true
}

// keep makes a budget of a set one that is never forgotten, with the lock held.
func (f *Fleet) keep(b *Budget) {
	if b.services != nil {
		b.services.count--
		b.services = nil
	}
}
