package breaker

import (
	"maps"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// Isolate refuses all calls to a service for d, by hand, whatever its circuit says. Its
// state is open and no probe is sent. It works at once, in this process, also for a
// service that was never called or for which there is no room. The newest Isolate
// counts. With a d of 0 or less it is [Set.Release]. The service is named as in
// [Set.State].
//
// Observers are told when it begins and when it ends, with ByHand set. If it ends by its
// time, the next call to any service tells them.
func (s *Set) Isolate(name string, d time.Duration) {
	told := name
	if s.cfg.service == nil && s.circuits.Peek(name) == nil {
		told = service.OfHost(name)
	}
	told = strings.Clone(told) // it may be part of something large
	now := s.clock()
	s.setApart(func(apart map[string]isolation) {
		// Under whatever spelling it was isolated before.
		maps.DeleteFunc(apart, func(n string, i isolation) bool { return n == name || i.service == told })
		if d <= 0 {
			return
		}
		for _, n := range spellings(name) {
			apart[strings.Clone(n)] = isolation{told, now + min(d, longestApart)}
		}
	})
}

// Release ends an [Set.Isolate] before its time. The circuit of the service has then
// the state that it had.
func (s *Set) Release(name string) { s.Isolate(name, 0) }

// longestApart leaves room for sums.
const longestApart = 100 * 365 * 24 * time.Hour

// An isolation is kept under each spelling of a service.
type isolation struct {
	service string        // as observers are told
	until   time.Duration // by clock
}

// isolations are not changed after they are published.
type isolations struct {
	of   map[string]isolation
	next time.Duration // when the first of them ends
}

// spellings are the names by which calls to a service may come.
func spellings(name string) []string {
	if host := service.OfHost(name); host != name {
		return []string{name, host}
	}
	return []string{name}
}

// setApart changes a copy of the services that are isolated, without those whose time is
// over, publishes it, and tells what began and what ended.
func (s *Set) setApart(change func(map[string]isolation)) {
	for {
		old := s.apart.Load()
		next := isolations{of: map[string]isolation{}}
		if old != nil {
			maps.Copy(next.of, old.of)
		}
		now := s.clock()
		maps.DeleteFunc(next.of, func(_ string, i isolation) bool { return i.until <= now })
		change(next.of)
		published := &next
		if len(next.of) == 0 {
			published = nil
		}
		next.next = longestApart + now
		for _, i := range next.of {
			next.next = min(next.next, i.until)
		}
		if s.apart.CompareAndSwap(old, published) {
			s.tellApart(old, published, now)
			return
		}
	}
}

// tellApart tells observers what began and what ended.
func (s *Set) tellApart(old, next *isolations, now time.Duration) {
	was, is := old.services(), next.services()
	for name := range was {
		if _, still := is[name]; !still {
			s.tell(StateChange{Service: name, From: StateOpen, To: s.circuitOf(name), ByHand: true})
		}
	}
	for name, until := range is {
		if _, already := was[name]; !already {
			s.tell(StateChange{Service: name, From: s.circuitOf(name), To: StateOpen, OpenFor: until - now, ByHand: true})
		}
	}
}

func (s *Set) tell(c StateChange) {
	for _, hook := range s.cfg.hooks {
		hook(c)
	}
}

// services are the names that observers are told, and until when each is isolated.
func (is *isolations) services() map[string]time.Duration {
	names := map[string]time.Duration{}
	if is != nil {
		for _, i := range is.of {
			names[i.service] = i.until
		}
	}
	return names
}

// apartFor returns for how long a service is isolated, else 0.
func (s *Set) apartFor(name string) time.Duration {
	apart := s.apart.Load()
	if apart == nil {
		return 0
	}
	i, ok := apart.of[name]
	if !ok {
		return 0
	}
	return max(i.until-s.clock(), 0)
}

// endApart tells observers of what ended by its time.
func (s *Set) endApart() {
	if apart := s.apart.Load(); apart != nil && apart.next <= s.clock() {
		s.setApart(func(map[string]isolation) {})
	}
}
