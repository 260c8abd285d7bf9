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
// counts. With a d of 0 or less it is [Set.Release]. Observers are not told. The service
// is named as in [Set.State].
func (s *Set) Isolate(name string, d time.Duration) {
	now := s.clock()
	s.setApart(func(apart map[string]time.Duration) {
		for _, n := range spellings(name) {
			if d > 0 {
				apart[strings.Clone(n)] = now + min(d, longestApart)
			} else {
				delete(apart, n)
			}
		}
	})
}

// Release ends an [Set.Isolate] before its time. The circuit of the service has then
// the state that it had.
func (s *Set) Release(name string) { s.Isolate(name, 0) }

// longestApart leaves room for sums.
const longestApart = 100 * 365 * 24 * time.Hour

// spellings are the names by which calls to a service may come.
func spellings(name string) []string {
	if host := service.OfHost(name); host != name {
		return []string{name, host}
	}
	return []string{name}
}

// setApart changes a copy of the services that are isolated, without those whose time is
// over, and publishes it.
func (s *Set) setApart(change func(map[string]time.Duration)) {
	for {
		old := s.apart.Load()
		next := map[string]time.Duration{}
		if old != nil {
			maps.Copy(next, *old)
		}
		now := s.clock()
		maps.DeleteFunc(next, func(_ string, until time.Duration) bool { return until <= now })
		change(next)
		published := &next
		if len(next) == 0 {
			published = nil
		}
		if s.apart.CompareAndSwap(old, published) {
			return
		}
	}
}

// apartFor returns for how long a service is isolated, else 0.
func (s *Set) apartFor(name string) time.Duration {
	apart := s.apart.Load()
	if apart == nil {
		return 0
	}
	until, ok := (*apart)[name]
	if !ok {
		return 0
	}
	return max(until-s.clock(), 0)
}
