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
	// than MaxConcurrency requests in the handler, counting those beyond the limit. The
	// limit starts at 64, or at MinConcurrency if that is more, and doubles as long as no
	// request is over.
	MinConcurrency, MaxConcurrency int

	// MaxWait bounds how long a request waits in the queue. A request whose client says
	// how long it waits (headers.TimeoutOf, headers.AttemptTimeoutOf) waits for as long,
	// less the time for the work; the default for it is no bound. Any other request waits
	// five times the latency of the handler without load, at least 200 ms. While the queue
	// is standing, it waits 50 ms, or that latency if it is longer. The default for it is
	// 1 s.
	MaxWait time.Duration

	// MaxRetryAfter is the longest time that a client is told to wait for a free slot. If
	// no slot is free by then, the client is told MaxRetryAfter plus a random 1 to 3 s.
	// The default is 10 s.
	MaxRetryAfter time.Duration

	// SchedulerLatency is the 99th-percentile wait of a goroutine for a processor above
	// which the limit is lowered, whatever the latency of the handler. Where goroutines
	// always wait longer, the limit is lowered at three times the usual wait. At twenty
	// times SchedulerLatency, a share of the requests is refused as they arrive. The
	// default is 10 ms; a negative value turns it off.
	SchedulerLatency time.Duration

	// FairBy returns whose request it is: an account, or an address. Within a
	// priority, callers share the room: a free slot goes to the caller that holds the
	// fewest slots, and a full queue refuses a request of the caller that has the most
	// requests in it. So a caller who asks for more than its share is refused before the
	// others. The key must not be one that clients can choose freely, or one client could
	// pass for many. Requests with the key "" count as those of one caller. FairBy is
	// called only for requests that find no room, and while goroutines wait far too
	// long for a processor. The default nil shares nothing.
	FairBy func(*http.Request) string

	// IgnoreMemory turns the memory signal off. With the signal, the limit is lowered
	// while the process uses more than 85 % of the memory that GOMEMLIMIT or the control
	// group of its container allows. What the garbage collector would free does not
	// count. If a lower limit does not free memory, the signal is ignored until usage is
	// down to 75 %. The default is false. Without GOMEMLIMIT and such a container the
	// signal is always off.
	IgnoreMemory bool

	// GiveUp reports that retries are of no use for a reason that the middleware cannot
	// see, such as an empty retry budget of the fleet. A client that is refused for lack
	// of room is then told not to come back. GiveUp is called for each such client, so it
	// must be fast. The default nil means never.
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
