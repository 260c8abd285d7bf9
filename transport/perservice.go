package transport

import (
	"sync"
	"time"
)

// perService keeps a state for each service, for as many as there are default
// budgets; services beyond that share one. Making room drops only states that
// are idle, so that a flood of names cannot wipe out what was learnt.
type perService[T any] struct {
	make func(service string) *T
	idle func(*T) bool

	known sync.Map // string to *T

	mu       sync.Mutex // guards what follows, and additions to known
	count    int
	overflow *T
	looked   time.Time
}

func (s *perService[T]) of(service string) *T {
	if v, ok := s.known.Load(service); ok {
		return v.(*T)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known.Load(service); ok {
		return v.(*T)
	}
	if s.count >= defaultServices && !s.makeRoom() {
		if s.overflow == nil {
			s.overflow = s.make("(other services)")
		}
		return s.overflow
	}
	v := s.make(service)
	s.known.Store(service, v)
	s.count++
	return v
}

// makeRoom looks at most once a second, which bounds what a flood costs.
func (s *perService[T]) makeRoom() bool {
	now := time.Now()
	if now.Sub(s.looked) < time.Second {
		return false
	}
	s.looked = now
	dropped := false
	s.known.Range(func(service, v any) bool {
		if s.idle(v.(*T)) {
			s.known.Delete(service)
			s.count--
			dropped = true
		}
		return true
	})
	return dropped
}
