package transport

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// perService keeps a state for each service, for as many as there are default
// budgets; services beyond that share one. Making room drops only states that
// are idle, so that a flood of names cannot wipe out what was learnt.
type perService[T any] struct {
	make func(service string) *T
	idle func(*T) bool

	known sync.Map // string to *named[T]
	usual atomic.Pointer[named[T]]

	mu       sync.Mutex // guards what follows, and additions to known
	count    int
	overflow *T
	looked   time.Time
}

// named is a state that is found without looking for it, which would cost more
// than all else that is done with it. Most programs call few services.
type named[T any] struct {
	service string
	state   *T
}

func (s *perService[T]) of(service string) *T {
	if n := s.usual.Load(); n != nil && n.service == service {
		return n.state
	}
	return s.find(service)
}

func (s *perService[T]) find(service string) *T {
	if v, ok := s.known.Load(service); ok {
		if rand.Uint32()&63 == 0 { // so that it is one that is asked for often
			s.prefer(service)
		}
		return v.(*named[T]).state
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known.Load(service); ok {
		return v.(*named[T]).state
	}
	if s.count >= defaultServices && !s.makeRoom() {
		if s.overflow == nil {
			s.overflow = s.make("(other services)")
		}
		return s.overflow
	}
	n := &named[T]{service, s.make(service)}
	s.known.Store(service, n)
	s.count++
	s.usual.Store(n)
	return n.state
}

// prefer holds the lock so that the state is one that is kept.
func (s *perService[T]) prefer(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known.Load(service); ok {
		s.usual.Store(v.(*named[T]))
	}
}

// makeRoom looks at most once a second, which bounds what a flood costs.
func (s *perService[T]) makeRoom() bool {
	now := time.Now()
	if now.Sub(s.looked) < time.Second {
		return false
	}
	s.looked = now
	s.usual.Store(nil)
	dropped := false
	s.known.Range(func(service, v any) bool {
		if s.idle(v.(*named[T]).state) {
			s.known.Delete(service)
			s.count--
			dropped = true
		}
		return true
	})
	return dropped
}
