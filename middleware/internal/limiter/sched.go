package limiter

import (
	"math"
	"time"
)

const (
	schedEvery = 250 * time.Millisecond
	schedVain  = 40 // samples after which a lower limit has not helped
	schedFar   = 20 // times what is never too long: far too long
	schedMost  = 0.95
	schedRise  = 3 // over the calm wait from which on the processors are overloaded
)

// A SchedulerSample says how long goroutines waited for a processor.
type SchedulerSample struct {
	P99        time.Duration
	Processors int
}

// schedLimit watches how long goroutines wait for a processor. Where the work is
// bound by the CPU, requests queue there before any handler starts, and the
// latency of handlers does not show it. While that queue stands, schedLimit
// lowers the limit, but not below what the processors can run, nor below what
// keeps the handler busy: goroutines may also wait because of another process, or
// because of work other than the handler's.
//
// When the wait is far too long, a limit does not help. Handlers that do not wait
// for anything run one after the other, few at a time, and most of the excess requests
// have not begun. Then a share of the requests is refused when they get to run, which
// costs little, so that the queue gets shorter.
//
// It takes a sample when a window closes or a request is refused, and needs no
// goroutine. It is not safe for concurrent use.
type schedLimit struct {
	least  float64 // wait that is never too long, seconds
	sample func() (SchedulerSample, bool)
	at     time.Duration // of the last sample
	calm   float64       // wait without overload, seconds
	over   int           // samples in a row that were too long
	limit  float64       // 0: none
	refuse float64       // share of the requests
}

func newSchedLimit(least time.Duration, sample func() (SchedulerSample, bool)) *schedLimit {
	return &schedLimit{least: least.Seconds(), sample: sample}
}

// due reports whether it is time to look.
func (s *schedLimit) due(now time.Duration) bool { return now-s.at >= schedEvery }

// look takes a sample.
func (s *schedLimit) look(now time.Duration, limit, inFlight, busy float64) {
	s.at = now
	if sample, ok := s.sample(); ok {
		s.judge(sample.P99.Seconds(), limit, inFlight, math.Max(busy, float64(sample.Processors)))
	}
}

// capped returns the limit or, while goroutines wait too long, less.
func (s *schedLimit) capped(limit float64) float64 {
	if s.limit > 0 {
		return math.Min(limit, s.limit)
	}
	return limit
}

// judge sets the limit, not below the floor, and the share that is refused, by the
// wait that was seen.
func (s *schedLimit) judge(wait, limit, inFlight, floor float64) {
	if wait > math.Max(schedFar*s.least, schedRise*s.calm) {
		s.refuse = math.Min(schedMost, 1-(1-s.refuse)/2)
	} else if s.refuse *= .75; s.refuse < .05 {
		s.refuse = 0
	}
	if wait <= math.Max(s.least, schedRise*s.calm) {
		s.over = 0
		if s.calm == 0 {
			s.calm = wait
		}
		s.calm += (wait - s.calm) * .05
		if s.limit *= 1.25; s.limit > 2*limit {
			s.limit = 0
		}
		return
	}
	if s.over++; s.over < 2 {
		return // one long wait is no overload
	}
	if s.over > schedVain && (s.refuse == 0 || s.refuse == schedMost) {
		// They wait for something other than the handler.
		s.over, s.calm, s.limit, s.refuse = 0, wait, 0, 0
		return
	}
	from := math.Max(inFlight, 1)
	if s.limit > 0 {
		from = math.Min(from, s.limit)
	}
	s.limit = math.Max(floor, from*.8)
}
