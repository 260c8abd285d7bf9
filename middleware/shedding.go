package middleware

import (
	"fmt"
	"net/http"
	"time"
)

// Shedding configures [WithShedding]. The zero value is recommended for nearly every
// service. A field that is zero has its default; a negative value is an error unless
// the field says otherwise.
type Shedding struct {
	// MinConcurrency and MaxConcurrency bound the concurrency limit. The defaults are 2
	// and 10,000. A MinConcurrency of math.MaxInt means no limit. There are never more
	// than MaxConcurrency requests in the handler, counting those beyond the limit.
	MinConcurrency, MaxConcurrency int

	// MaxWait bounds how long a request waits in the queue. A request waits for as long
	// as its client does, by headers.TimeoutOf and headers.AttemptTimeoutOf, less the
	// time for the work; the default for such a request is no bound. A request whose
	// client does not say waits five times the latency of the handler without load, at
	// least 200 ms; while the queue is standing, 50 ms. The default for it is 1 s.
	MaxWait time.Duration

	// MaxRetryAfter is the longest time that a client is told to wait for a free slot. If
	// there is none until then, the client is told a random time of 1 to 3 s more. The
	// default is 10 s.
	MaxRetryAfter time.Duration

	// SchedulerLatency is the 99th-percentile wait of a goroutine for a processor above
	// which the limit is lowered, whatever the latency of the handler. At twenty times
	// that, a share of the requests is refused as they arrive. The default is 10 ms; a
	// negative value turns it off.
	SchedulerLatency time.Duration

	// FairBy returns whose request it is: an account, or an address. Within a
	// priority, callers share the room: a free slot goes to the caller that has the
	// fewest, and a full queue refuses a request of the caller that has the most in
	// it. So a caller who asks for more than its share is refused before the others.
	// The key must not be one that clients can choose freely, or one of them passes
	// for many. Requests with the key "" count as those of one caller. FairBy is
	// called only for requests that find no room, and while goroutines wait far too
	// long for a processor. The default nil shares nothing.
	FairBy func(*http.Request) string

	// IgnoreMemory turns the signal of memory off. Without it, the limit is lowered
	// while more than 85 % of the memory is in use that the process may have, by
	// GOMEMLIMIT or the control group of its container. What the garbage collector
	// would free does not count, and neither does memory that a lower limit has not
	// freed. Without such a limit the signal is off.
	IgnoreMemory bool

	// GiveUp reports that retries are of no use for a reason that cannot be seen here,
	// such as an empty retry budget of the fleet. A refused client is then told not to
	// come back. It is called for each refused client, so it must be fast. The default
	// is never.
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
