package middleware

import (
	"errors"
	"fmt"
	"net/http"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	limit     *int
	shedding  *Shedding
	rates     []Rate
	priority  func(*http.Request) int
	drain     *Drain
	attempts  bool
	deadlines *Deadlines
	route     func(*http.Request) string
	exempt    []func(*http.Request) bool
	trust     func(*http.Request) bool
	observers []Observer
	dryRun    bool
	missing   []string // options that were given nil
}

func (c *config) validate() error {
	errs := c.shedding.validate()
	for _, option := range c.missing {
		errs = append(errs, fmt.Errorf("middleware: %s(nil): want one that is not nil, or leave the option out", option))
	}
	if c.priority != nil && c.shedding == nil {
		errs = append(errs, errors.New("middleware: WithPriority: want WithShedding too, whose queue it orders"))
	}
	for _, r := range c.rates {
		errs = append(errs, r.validate()...)
	}
	if c.limit != nil && *c.limit < 1 {
		errs = append(errs, fmt.Errorf("middleware: WithConcurrency(%d): want at least 1", *c.limit))
	}
	if s := c.shedding; c.limit != nil && *c.limit >= 1 && s != nil && (*c.limit < s.MinConcurrency || s.MaxConcurrency > 0 && *c.limit > s.MaxConcurrency) {
		errs = append(errs, fmt.Errorf("middleware: WithConcurrency(%d): want a limit within those of WithShedding, MinConcurrency %d and MaxConcurrency %d", *c.limit, s.MinConcurrency, s.MaxConcurrency))
	}
	errs = append(errs, c.deadlines.validate()...)
	return errors.Join(errs...)
}

// want notes that an option was given nil, unless ok.
func (c *config) want(ok bool, option string) {
	if !ok {
		c.missing = append(c.missing, option)
	}
}

// WithShedding refuses requests that the handler has no room for. It finds out by
// measuring how much room there is; nothing has to be tuned. A request that finds
// no room waits in a queue for a short time. Requests are refused in this order:
// those that have expired, retries while the queue is standing, those of low
// priority by [WithPriority], the rest; within a priority, those of callers who ask
// for more than their share, by [Shedding].FairBy. Clients that say how many attempts
// they make come when they are told, so their retries are treated as first attempts
// unless the handler answers nobody. A refusal is a 503 that says when to come back, or
// that the call is over before there is room. The response to a request that waited
// says for how long (Request-Queued-Ms), if its client announces attempts. The default
// is off.
func WithShedding(s Shedding) Option {
	return func(c *config) { c.shedding = &s }
}

// WithConcurrency sets the concurrency limit: how many requests the handler serves
// at a time. It takes the place of the limit that WithShedding would find, so neither
// memory nor the wait for processors lowers it. It must lie within MinConcurrency and
// MaxConcurrency of [Shedding], if those are given. A request
// counts until its handler returns, hijacks the connection or flushes; from then on
// it is a stream. Without WithShedding there is no queue: a request above the limit
// is refused with 503 at once, and one that waits for its client to send or to read
// counts too. With WithShedding the place of one that waits is lent, so more than n may be
// at work once its body has come. The default, and math.MaxInt, is no limit; less than 1 is an error.
func WithConcurrency(n int) Option {
	return func(c *config) { c.limit = &n }
}

// WithPriority sets the priority of a request, from 0 to headers.MaxPriority (499).
// WithShedding refuses requests of the lowest priority first. Values outside the
// range are clamped. The scale is that of failsafe-go: five classes of a hundred
// levels. The class says how important a request is; levels may tell the users of a
// class apart, so that under load the same users are served all the time. The func
// is called only for requests that find no room. [HeaderPriority] reads the priority
// from the header. The default is headers.MediumPriority (250) for all requests. It
// is an error without WithShedding, and so is nil.
func WithPriority(of func(*http.Request) int) Option {
	return func(c *config) { c.priority = of; c.want(of != nil, "WithPriority") }
}

// WithRate limits how many requests each client may send. It may be given more than
// once. A request that one limit refuses with 429 is not counted by those after it.
// The default is no limit.
func WithRate(r Rate) Option {
	return func(c *config) { c.rates = append(c.rates, r) }
}

// WithDrain refuses new requests once d is started. The default is never; nil is an
// error.
func WithDrain(d *Drain) Option {
	return func(c *config) { c.drain = d; c.want(d != nil, "WithDrain") }
}

// WithAttempts reads which attempt a request is, in the dialects of
// headers.AttemptOf. [FromContext] returns it, and the Retry-Attempt header of the
// response echoes it, so that a client sees that the server knows of retries.
//
// It also keeps retries in a chain of services from multiplying. Calls that package
// transport makes with the context of a retry are not retried themselves. If a
// server further down says not to retry, or the retries here and their budget are
// used up, the failure of the handler says so too. The default is off.
func WithAttempts() Option {
	return func(c *config) { c.attempts = true }
}

// WithDeadlines gives the context of each request the deadline that its client
// sent, in the dialects of headers.TimeoutOf, or that of d. The default is off.
//
// A request whose deadline has passed on arrival, or passes in the queue, gets 504
// without reaching the handler. So does one whose handler returns after the deadline
// without an answer. The deadline also bounds reads of the body and writes of a
// large response, unless the handler sets deadlines of its own through
// http.ResponseController.
//
// A response that has begun when the deadline passes is cut off if the handler
// returns without having written all of its Content-Length, or has announced none:
// the client gets an error instead of the end.
//
// How long a client waits for the response header of an attempt
// (headers.AttemptTimeoutOf) bounds nothing here. Calls that package transport makes
// with the context announce what is left of the deadline.
func WithDeadlines(d Deadlines) Option {
	return func(c *config) { c.deadlines = &d }
}

// WithExempt lets requests for which exempt returns true past everything in this
// package, such as health checks. It may be given more than once; one true is
// enough. By default, and with nil, no request is exempt.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(c *config) {
		if exempt != nil {
			c.exempt = append(c.exempt, exempt)
		}
	}
}

// WithTrust sets whose attempt, deadline and priority headers are believed. The
// default is everybody's: attempt and deadline can only harm their sender, and only
// [HeaderPriority] reads the priority. Nil is an error.
func WithTrust(trusted func(*http.Request) bool) Option {
	return func(c *config) { c.trust = trusted; c.want(trusted != nil, "WithTrust") }
}

// WithObserver adds an observer. It may be given more than once; observers are
// called in order. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// WithDryRun decides and reports but refuses nothing. The Event of a request that
// would have been refused has its reason, and DryRun set. No request waits in a dry
// run, so a request that would have waited for a slot counts as refused. The default
// is off.
func WithDryRun() Option {
	return func(c *config) { c.dryRun = true }
}
