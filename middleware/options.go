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
}

func (c *config) validate() error {
	errs := c.shedding.validate()
	if c.priority != nil && c.shedding == nil {
		errs = append(errs, errors.New("middleware: WithPriority: want WithShedding, whose queue it puts in order"))
	}
	for _, r := range c.rates {
		errs = append(errs, r.validate()...)
	}
	if c.limit != nil && *c.limit < 1 {
		errs = append(errs, fmt.Errorf("middleware: WithConcurrency(%d): want at least 1", *c.limit))
	}
	errs = append(errs, c.deadlines.validate()...)
	return errors.Join(errs...)
}

// WithShedding keeps the handler from taking more than it can serve. How much
// that is, is found by measuring; there is nothing to tune. What finds no room
// waits for a short time in a queue; what is refused is, in this order, what
// has expired, retries as long as the queue stands, the low priorities of
// [WithPriority], and then the rest. A refusal is a 503 that says when to come
// back, or not to. The default is off.
func WithShedding(s Shedding) Option {
	return func(c *config) { c.shedding = &s }
}

// WithConcurrency sets how many requests the handler serves at a time, in
// place of what WithShedding would find out. Without WithShedding one more is
// refused with 503 at once: there is no queue in which it would grow old. A
// request counts until its handler returns, hijacks its connection or flushes,
// from when on it is a stream. The default is no limit, and so is math.MaxInt.
func WithConcurrency(n int) Option {
	return func(c *config) { c.limit = &n }
}

// WithPriority sets which requests are refused last when WithShedding has to
// refuse some: the higher the number the later, from 0 to headers.MaxPriority,
// 499. Values outside are clamped. The scale is that of failsafe-go: five classes
// of a hundred levels. The class says how important a request is; levels may tell
// the users of a class apart, so that under load the same users are served all the
// time. It is called only for requests that find no room. [HeaderPriority] reads
// the priority from the header. The default is headers.MediumPriority, 250, for
// all.
func WithPriority(of func(*http.Request) int) Option {
	return func(c *config) { c.priority = of }
}

// WithRate limits how many requests each client may send. It may be given more
// than once; a request that one refuses with 429 is not counted by those after
// it. The default is no limit.
func WithRate(r Rate) Option {
	return func(c *config) { c.rates = append(c.rates, r) }
}

// WithDrain refuses requests once d is started. The default is never.
func WithDrain(d *Drain) Option {
	return func(c *config) { c.drain = d }
}

// WithAttempts reads which attempt a request is, in the dialects of
// headers.AttemptOf, for [FromContext], and echoes it in the Retry-Attempt
// header of the response, by which a client sees that the server knows of
// retries.
//
// It also keeps the retries of a chain of services from multiplying: calls that
// package transport makes with the context of a request which is a retry itself
// are not retried, and when a server further down says that there should be no
// retry, or the retries here are used up and their budget has nothing for more,
// the failure of the handler says so too. The default is off.
func WithAttempts() Option {
	return func(c *config) { c.attempts = true }
}

// WithDeadlines gives the context of each request what its client sent of the
// caller's deadline, in the dialects of headers.TimeoutOf, or those of d. A request
// whose deadline has passed on arrival gets 504 without reaching the handler, and
// so does one whose deadline passes in the queue or whose handler returned after
// it without an answer. The body of a request is read, and a large response is
// written, no longer than until then, unless the handler sets deadlines of its own
// through http.ResponseController. A response that has begun when the deadline
// passes, and has not all of its Content-Length or has none when the handler then
// returns, is cut off: its client gets an error in place of an end. How long a client waits for the header of an
// attempt (headers.AttemptTimeoutOf) bounds nothing of that. The calls that package
// transport makes with the context announce what is left. The default is off.
func WithDeadlines(d Deadlines) Option {
	return func(c *config) { c.deadlines = &d }
}

// WithExempt lets requests past everything here, such as health checks. It may
// be given more than once; one true is enough. The default is none.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(c *config) {
		if exempt != nil {
			c.exempt = append(c.exempt, exempt)
		}
	}
}

// WithTrust sets whose attempt, deadline and priority headers are believed. The
// default is everybody's: the first two can only do harm to their sender, and
// priorities are read from the header only by [HeaderPriority].
func WithTrust(trusted func(*http.Request) bool) Option {
	return func(c *config) { c.trust = trusted }
}

// WithObserver adds an observer. It may be given more than once; observers are
// called in order. The default is none.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// WithDryRun decides and reports, but refuses nothing: the Event of a request
// that would have been refused has its reason and DryRun. Nobody waits in a dry
// run, so a request counts as refused also where it would have waited for a
// slot. The default is off.
func WithDryRun() Option {
	return func(c *config) { c.dryRun = true }
}
