package middleware

import (
	"fmt"
	"time"
)

// Shedding configures [WithShedding]. The zero value is what nearly every
// service should use; fields that are zero take their defaults.
type Shedding struct {
	// MinConcurrency and MaxConcurrency bound the limit that is found. The
	// defaults are 2 and 10,000; math.MaxInt means no limit.
	MinConcurrency, MaxConcurrency int

	// MaxWait bounds how long a request waits to be admitted: for as long as its
	// client waits, less what the work takes, by the headers that
	// headers.TimeoutOf and headers.AttemptTimeoutOf read. Of one that does not say
	// it is five times the latency of the handler without load, but at least
	// 200 ms, and 50 ms as long as the queue stands. The default is 1 s for those,
	// and no bound for the others.
	MaxWait time.Duration

	// MaxRetryAfter is the longest that a client is told to wait. One that
	// would have to wait for longer is told not to come back. The default is
	// 10 s.
	MaxRetryAfter time.Duration

	// SchedulerLatency is how long goroutines may wait for a processor, in the
	// worst of a hundred cases, before the limit goes down whatever the latency
	// of the handler is. Twenty times that, and a share of the requests is
	// refused as they come. The default is 10 ms; a negative value turns it off.
	SchedulerLatency time.Duration

	// GiveUp reports that retries are of no use, beyond what can be seen from
	// here: a retry budget that the fleet shares is used up, say. Clients that
	// are refused are then told not to come back. It is called for each of
	// them, so it must be fast. The default is never.
	GiveUp func() bool
}

func (s *Shedding) filled() Shedding {
	var f Shedding
	if s != nil {
		f = *s
	}
	if f.MinConcurrency == 0 {
		f.MinConcurrency = 2
	}
	if f.MaxConcurrency == 0 {
		f.MaxConcurrency = max(10_000, f.MinConcurrency)
	}
	if f.MaxWait == 0 {
		f.MaxWait = time.Second
	}
	if f.MaxRetryAfter == 0 {
		f.MaxRetryAfter = 10 * time.Second
	}
	if f.SchedulerLatency == 0 {
		f.SchedulerLatency = 10 * time.Millisecond
	}
	return f
}

func (s *Shedding) validate() (errs []error) {
	if s == nil {
		return nil
	}
	wrong := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("middleware: WithShedding: %s %v: want %s", field, value, want))
	}
	if s.MinConcurrency < 0 {
		wrong("MinConcurrency", s.MinConcurrency, "at least 1, or 0 for the default")
	}
	if s.MaxConcurrency < 0 || s.MaxConcurrency > 0 && s.MaxConcurrency < s.MinConcurrency {
		wrong("MaxConcurrency", s.MaxConcurrency, "at least MinConcurrency, or 0 for the default")
	}
	if s.MaxWait < 0 {
		wrong("MaxWait", s.MaxWait, "a positive duration, or 0 for the default")
	}
	if s.MaxRetryAfter < 0 {
		wrong("MaxRetryAfter", s.MaxRetryAfter, "a positive duration, or 0 for the default")
	}
	return errs
}

func (s *Shedding) giveUp() func() bool {
	if s == nil {
		return nil
	}
	return s.GiveUp
}
