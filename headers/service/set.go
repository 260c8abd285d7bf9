// Package service names the services that a program calls, and keeps a value for
// each of them in a bounded [Set].
//
// A service has a name: the host of a request, or what the program calls it. Names
// can come from data, as in a crawler or a sender of webhooks, so their number has
// no limit. A Set has one. Services past the limit have no value of their own.
//
// The package imports only the standard library.
package service

import (
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// longestName is the length in bytes above which a [Set] keeps nothing for a name.
// Otherwise long names could use any amount of memory.
const longestName = 1024

// lookEvery is how often a full Set looks for idle values. It bounds what a flood of
// new names costs.
const lookEvery = time.Second

// A Set keeps a T for each service, up to a limit. It is safe for concurrent
// use and starts no goroutine. Make one with [NewSet].
//
// When it is full, a new name makes room by dropping all idle values, at most once a
// second. Values in use are never dropped, so a flood of names cannot remove them.
// Names for which there is no room have no T.
//
// A Set keeps copies of names. A name is often a part of a URL, and would keep the
// whole URL in memory.
type Set[T any] struct {
	limit int
	make  func(name string) *T
	idle  func(*T) bool

	known sync.Map                 // string to *entry[T]
	usual atomic.Pointer[entry[T]] // often asked for

	mu     sync.Mutex // guards what follows, and changes of known
	count  int
	looked time.Time // when makeRoom last went through all of them
}

// entry is found without a lookup while it is the usual one. Most programs call few
// services, and the lookup costs more than what is done with the value.
type entry[T any] struct {
	name string
	kept *T
}

// NewSet returns an empty set for up to limit services. The func create returns the
// value of a new service. The func idle reports whether a value can be dropped
// without loss. Both are called with the set locked and must not use it.
func NewSet[T any](limit int, create func(name string) *T, idle func(*T) bool) *Set[T] {
	return &Set[T]{limit: limit, make: create, idle: idle}
}

// Get returns the value of a service, and creates it for a new name. It returns nil
// if there is no room, or if the name is longer than 1,024 bytes.
func (s *Set[T]) Get(name string) *T {
	if e := s.usual.Load(); e != nil && e.name == name {
		return e.kept
	}
	return s.find(name)
}

func (s *Set[T]) find(name string) *T {
	if v, ok := s.known.Load(name); ok {
		if rand.Uint32()&63 == 0 { // so it is one that is asked for often
			s.prefer(name)
		}
		return v.(*entry[T]).kept
	}
	if len(name) > longestName {
		return nil
	}
	return s.add(name)
}

// Peek returns the value of a service, or nil if the set has no such service. It
// changes nothing.
func (s *Set[T]) Peek(name string) *T {
	if e := s.usual.Load(); e != nil && e.name == name {
		return e.kept
	}
	if v, ok := s.known.Load(name); ok {
		return v.(*entry[T]).kept
	}
	return nil
}

// All returns the services and their values, in no particular order.
func (s *Set[T]) All() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		s.known.Range(func(_, v any) bool {
			e := v.(*entry[T])
			return yield(e.name, e.kept)
		})
	}
}

func (s *Set[T]) add(name string) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known.Load(name); ok {
		return v.(*entry[T]).kept
	}
	if s.count >= s.limit && !s.makeRoom() {
		return nil
	}
	name = strings.Clone(name)
	e := &entry[T]{name, s.make(name)}
	s.known.Store(name, e)
	s.count++
	s.usual.Store(e)
	return e.kept
}

// prefer holds the lock so that the entry is one that is still known.
func (s *Set[T]) prefer(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known.Load(name); ok {
		s.usual.Store(v.(*entry[T]))
	}
}

// makeRoom drops the idle values and reports whether there were any.
func (s *Set[T]) makeRoom() bool {
	now := time.Now()
	if now.Sub(s.looked) < lookEvery {
		return false
	}
	s.looked = now
	before := s.count
	s.known.Range(func(name, v any) bool {
		if s.idle(v.(*entry[T]).kept) {
			s.known.Delete(name)
			s.count--
		}
		return true
	})
	return s.count < before
}
