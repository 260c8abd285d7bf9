package breaker

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	service     func(*http.Request) string
	tripRatio   float64
	minRequests int
	window      time.Duration
	openFor     time.Duration
	probes      int
	slowAfter   time.Duration
	slowRatio   float64
	failureIf   func(*http.Response, error) bool
	maxServices int
	hooks       []func(StateChange) // of the observers
}

// buckets is how many parts of a window are forgotten one at a time.
const buckets = 10

// maxOpenFor is what the open time grows to, unless WithOpenFor asks for more.
const maxOpenFor = time.Minute

func defaults() config {
	return config{
		tripRatio:   0.5,
		minRequests: 20,
		window:      10 * time.Second,
		openFor:     5 * time.Second,
		probes:      1,
		maxServices: 1024,
	}
}

func (c *config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("breaker: "+format, args...)) }
	if !(c.tripRatio > 0 && c.tripRatio <= 1) || c.minRequests < 1 {
		bad("WithTripRatio(%v, %d): want a ratio above 0 and up to 1, of at least 1 request", c.tripRatio, c.minRequests)
	}
	if c.window < buckets || c.window > 24*time.Hour {
		bad("WithWindow(%v): want up to 24h, above 0", c.window)
	}
	if c.openFor <= 0 || c.openFor > 24*time.Hour {
		bad("WithOpenFor(%v): want up to 24h, above 0", c.openFor)
	}
	if c.probes < 1 || c.probes > 1000 {
		bad("WithProbes(%d): want 1 to 1000", c.probes)
	}
	if c.slowAfter < 0 || c.slowRatio != 0 && !(c.slowRatio > 0 && c.slowRatio <= 1) || (c.slowAfter > 0) != (c.slowRatio > 0) {
		bad("WithSlowCall(%v, %v): want a duration above 0 and a ratio above 0 and up to 1", c.slowAfter, c.slowRatio)
	}
	if c.maxServices < 1 {
		bad("WithMaxServices(%d): want at least 1", c.maxServices)
	}
	return errors.Join(errs...)
}

// WithServiceName sets how the service of a request is named; each name has a
// circuit of its own. The default is the name that the chain of package
// transport gave it, else URL.Host in lower case and without the ports 80 and
// 443. An empty name falls back to that too.
func WithServiceName(name func(*http.Request) string) Option {
	return func(c *config) { c.service = name }
}

// WithTripRatio sets the share of failures at which a circuit opens, and of how
// many finished calls within the window at least. The default is 0.5 of 20:
// lower, and a single bad replica of two trips the circuit of both.
func WithTripRatio(ratio float64, minRequests int) Option {
	return func(c *config) { c.tripRatio, c.minRequests = ratio, minRequests }
}

// WithWindow sets how long a call counts. It rolls in ten steps. Make it at
// least twice the timeout of an attempt, or failures by timeout are forgotten
// before there are enough of them. The default is 10s.
func WithWindow(d time.Duration) Option {
	return func(c *config) { c.window = d }
}

// WithOpenFor sets how long a circuit stays open before it lets probes through.
// It doubles each time they fail, up to a minute or d if that is longer, and
// falls back once the circuit has closed. A longer Retry-After of the answer
// that tripped it is honoured, within the same bound. The default is 5s.
func WithOpenFor(d time.Duration) Option {
	return func(c *config) { c.openFor = d }
}

// WithProbes sets how many calls a half-open circuit lets through, all of which
// must succeed to close it. The default is 1.
func WithProbes(n int) Option {
	return func(c *config) { c.probes = n }
}

// WithSlowCall makes slow calls a reason to open: those whose response header
// takes longer than d, when they are at least ratio of the finished calls, of
// which there must be as many as WithTripRatio says. By default a slow success
// is a success.
func WithSlowCall(d time.Duration, ratio float64) Option {
	return func(c *config) { c.slowAfter, c.slowRatio = d, ratio }
}

// WithFailureIf sets which outcomes are failures. It is called without locks,
// with the response or the error, must not read the body, and is not asked
// about calls that their caller cancelled. The default is any error, and the
// statuses from 500 but for 501 and 505, which are about the request. A 429 is
// about the caller, so that it is none. An answer that asks for another attempt
// by X-Should-Retry: true, or a 503 that says "false", comes from a server that
// sheds; it counts neither way.
func WithFailureIf(failed func(*http.Response, error) bool) Option {
	return func(c *config) { c.failureIf = failed }
}

// WithMaxServices bounds the number of circuits. A new service makes room by
// dropping the circuits that have not been used for a window, and not since
// their open time ended. The calls of a service for which there is still no room
// pass without being judged: one shared circuit would have the dead refuse the
// calls of the healthy. The default is 1024, of about 1 KB.
func WithMaxServices(n int) Option {
	return func(c *config) { c.maxServices = n }
}

// WithObserver adds an observer. It may be given more than once; the observers
// are called in the order in which they were given. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) {
		if o.OnStateChange != nil {
			c.hooks = append(c.hooks, o.OnStateChange)
		}
	}
}
