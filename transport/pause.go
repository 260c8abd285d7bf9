package transport

import (
	"maps"
	"strings"
	"time"
)

// Pause stops retries and second copies of the calls to a service for d, by hand: each
// call is sent once, and its reason is disabled. A retry that already waits is still sent.
// The service is named as in [WithServicePolicy]. An empty name means all services. The
// newest Pause of a name counts, and a d of 0 or less ends it. Pause works at once, also
// for a service that was never called.
func (t *Transport) Pause(service string, d time.Duration) {
	if !t.made() {
		return
	}
	if service != "" {
		service = strings.Clone(spelt(service, t.service)) // it may be part of something large
	}
	t.services.pause(service, t.clock(), d)
}

// longestPause leaves room for sums.
const longestPause = 100 * 365 * 24 * time.Hour

// pause changes a copy of the pauses, without those that are over, and publishes it.
func (s *services) pause(name string, now, d time.Duration) {
	for {
		old := s.paused.Load()
		next := map[string]time.Duration{}
		if old != nil {
			maps.Copy(next, *old)
		}
		delete(next, name)
		maps.DeleteFunc(next, func(_ string, until time.Duration) bool { return until <= now })
		if d > 0 {
			next[name] = now + min(d, longestPause)
		}
		published := &next
		if len(next) == 0 {
			published = nil
		}
		if s.paused.CompareAndSwap(old, published) {
			return
		}
	}
}

// isPaused reports whether calls to a service are sent once.
func (t *Transport) isPaused(name string) bool {
	paused := t.services.paused.Load()
	if paused == nil {
		return false
	}
	now := t.clock()
	return (*paused)[name] > now || (*paused)[""] > now
}
