// Package service keeps what is known of each service that a program calls, in
// a bounded [Set].
//
// A service is a name: the host of a request, or what the program calls it. Both
// may come from data, as in a crawler or a sender of webhooks, so there is no
// end of names. A Set has one: past its limit nothing is kept, and its users
// judge nothing by what they do not know.
//
// Importing it links nothing outside the standard library.
package service

import (
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// longestName is the length in bytes above which a [Set] keeps nothing for a
// name. Names come from data in places, and would else bound its memory.
const longestName = 1024

// lookEvery is how often a full Set looks for what is idle. It bounds what a
// flood of new names costs.
const lookEvery = time.Second

// A Set keeps a T for each service, up to a limit. It is safe for concurrent
// use and starts no goroutine. Make one with [NewSet].
//
// When it is full, a new name makes room by dropping all that is idle, at most
// once a second. What is in use is never dropped, so a flood of names cannot
// wipe out what was learnt. Names for which there is no room have no T.
//
// A Set keeps copies of names. The name of a service is often a part of a URL,
// and would keep all of it in memory.
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

// entry is found without a lookup while it is the usual one. The lookup would
// cost more than all else that is done with it, and most programs call few
// services.
type entry[T any] struct {
	name string
	kept *T
}

// NewSet returns an empty set for up to limit services. The func create makes
// what is kept for a service. The func idle reports whether that can be dropped
// because nothing would be missed. Both are called with the set locked and must
// not use it.
func NewSet[T any](limit int, create func(name string) *T, idle func(*T) bool) *Set[T] {
	return &Set[T]{limit: limit, make: create, idle: idle}
}

// Get returns what is kept for a service, and creates it if need be. It returns
// nil if there is no room, or if the name is longer than 1,024 bytes.
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

// Peek returns what is kept for a service, or nil if there is nothing. It
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

// All returns the services and what is kept for each, in no order.
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

// makeRoom drops what is idle and reports whether there was any.
func (s *Set[T]) makeRoom() bool {
	now := time.Now()
	if now.Sub(s.looked) < lookEvery {
		return false
	}
	s.looked = now
	s.usual.Store(nil)
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
