package breaker

import (
	"sync/atomic"
	"time"
)

// slowCalls counts the slow among the finished calls of the window, which
// gobreaker cannot. It is guarded by the circuit's lock but for tripped.
type slowCalls struct {
	bucket  time.Duration
	counts  []struct{ finished, slow int }
	at      int64 // the number of the newest bucket
	tripped atomic.Bool
}

func (s *slowCalls) init(cfg *config) {
	if cfg.slowAfter > 0 {
		s.bucket = (cfg.window + buckets - 1) / buckets
		s.counts = make([]struct{ finished, slow int }, buckets)
	}
}

func (s *slowCalls) clear() {
	clear(s.counts)
	s.tripped.Store(false)
}

// add counts a finished call and reports whether there are now too many slow
// ones.
func (s *slowCalls) add(cfg *config, now time.Duration, slow bool) bool {
	at := int64(now / s.bucket)
	for ; s.at < at; s.at++ {
		if at-s.at > buckets {
			s.at = at - buckets
		}
		s.counts[(s.at+1)%buckets] = struct{ finished, slow int }{}
	}
	n := &s.counts[at%buckets]
	n.finished++
	if slow {
		n.slow++
	}
	var finished, slowOnes int
	for _, n := range s.counts {
		finished += n.finished
		slowOnes += n.slow
	}
	trip := slow && finished >= cfg.minRequests && float64(slowOnes) >= cfg.slowRatio*float64(finished)
	if trip {
		s.tripped.Store(true)
	}
	return trip
}

// verdictOfSpeed turns a success into a failure if it was slow and the circuit
// is to open for that, or is probing.
func (t *ticket) verdictOfSpeed(outcome error) error {
	c := t.circuit
	if c.cfg.slowAfter == 0 || outcome == errExcluded {
		return outcome
	}
	slow := c.clock()-t.admitted > c.cfg.slowAfter
	if t.probe {
		if slow {
			return errFailed
		}
		return outcome
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.late() && c.slow.add(c.cfg, c.clock(), slow) {
		return errFailed
	}
	return outcome
}
