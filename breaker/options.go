package breaker

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Option configures [New].
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
	shared      Shared
	hooks       []func(StateChange)
}

func defaults() config {
	return config{
		tripRatio:   0.995,
		minRequests: 100,
		window:      10 * time.Second,
		openFor:     100 * time.Millisecond,
		probes:      1,
		maxServices: 1024,
	}
}

// validate returns all mistakes, each after the prefix.
func (c *config) validate(prefix string) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(prefix+format, args...)) }
	if !(c.tripRatio > 0 && c.tripRatio <= 1) || c.minRequests < 1 {
		bad("WithTripRatio(%v, %d): want a ratio above 0 and at most 1, and at least 1 request", c.tripRatio, c.minRequests)
	}
	if c.window < steps || c.window > 24*time.Hour {
		bad("WithWindow(%v): want at least 10ns and at most 24h", c.window)
	}
	if c.openFor <= 0 || c.openFor > 24*time.Hour {
		bad("WithOpenFor(%v): want above 0 and at most 24h", c.openFor)
	}
	if c.probes < 1 || c.probes > 1000 {
		bad("WithProbes(%d): want at least 1 and at most 1000", c.probes)
	}
	if c.slowAfter < 0 || c.slowRatio != 0 && !(c.slowRatio > 0 && c.slowRatio <= 1) || (c.slowAfter > 0) != (c.slowRatio > 0) {
		bad("WithSlowCall(%v, %v): want a duration above 0, and a ratio above 0 and at most 1", c.slowAfter, c.slowRatio)
	}
	if c.maxServices < 1 {
		bad("WithMaxServices(%d): want at least 1", c.maxServices)
	}
	return errors.Join(errs...)
}

// WithServiceName sets how the service of a request is named. Each name has its
// own circuit. The default is the name that the chain of package transport gave
// the request, or [service.OfHost] of the URL's host outside such a chain. The
// default also applies when name returns "".
func WithServiceName(name func(*http.Request) string) Option {
	return func(c *config) { c.service = name }
}

// WithTripRatio sets when a circuit opens: when at least minRequests calls
// finished within the window, and at least ratio of them failed. The default is
// 0.995 of 100. With 0.5, one failed replica of two opens the circuit of both,
// and calls fail that a retry would have saved. New returns an error unless ratio
// is above 0 and at most 1, and minRequests at least 1.
func WithTripRatio(ratio float64, minRequests int) Option {
	return func(c *config) { c.tripRatio, c.minRequests = ratio, minRequests }
}

// WithWindow sets how long a finished call counts. The window moves in ten
// steps. The default is 10s. New returns an error unless d is at least 10ns and
// at most 24h.
func WithWindow(d time.Duration) Option {
	return func(c *config) { c.window = d }
}

// WithOpenFor sets how long a circuit refuses calls before it lets a probe
// through. While probes fail, it grows to 1 % of the time since the circuit
// opened, up to 4s, or stays d if that is longer. The default is 100ms. A client
// that makes 100 calls per second then sends about ten of them to a service
// that is down. New returns an error unless d is above 0 and at most 24h.
func WithOpenFor(d time.Duration) Option {
	return func(c *config) { c.openFor = d }
}

// WithProbes sets how many probes must succeed to close a circuit. As many are
// in flight at a time; a probe that takes longer than [WithOpenFor] makes room
// for another one, and still counts when it ends. The default is 1. New returns
// an error unless n is at least 1 and at most 1000.
func WithProbes(n int) Option {
	return func(c *config) { c.probes = n }
}

// WithSlowCall also opens a circuit when calls are slow. A call is slow if its
// response header takes longer than d. The circuit opens when at least ratio of
// the finished calls were slow, of at least the number that [WithTripRatio]
// sets. A probe that is slow fails. By default slow calls do not matter. New
// returns an error unless d is above 0, and ratio above 0 and at most 1.
func WithSlowCall(d time.Duration, ratio float64) Option {
	return func(c *config) { c.slowAfter, c.slowRatio = d, ratio }
}

// WithFailureIf sets which calls fail. The func failed is called without locks,
// once for each call, with its response or its error. It must not read the body.
// It is not called for calls that their caller cancelled, which do not count.
//
// By default a call fails if it ends with an error, or with a status of 500 or
// above except 501 and 505, which are about the request. A 429 is about the
// caller and not a failure. A response from a server that sheds load does not
// count: one with X-Should-Retry: true, or a 503 with X-Should-Retry: false.
func WithFailureIf(failed func(*http.Response, error) bool) Option {
	return func(c *config) { c.failureIf = failed }
}

// WithMaxServices sets the largest number of circuits, each of about 1 KB. To
// make room for a new service, circuits are dropped that have not been used for
// a window, nor since their open time ended. The calls of a service for which
// there is no room pass and are not judged. The default is 1024. New returns an
// error unless n is at least 1.
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
