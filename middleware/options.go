package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	limit     *int
	attempts  bool
	deadlines *Deadlines
	exempt    []func(*http.Request) bool
	trust     func(*http.Request) bool
	observers []Observer
	dryRun    bool
}

// Deadlines bounds how long requests may take.
type Deadlines struct {
	// Max is the most that any request may take; a client can only ask for
	// less. The default 0 means no bound.
	Max time.Duration
	// Default is what a request gets that does not say. The default 0 means
	// Max.
	Default time.Duration
}

func (c *config) validate() error {
	var errs []error
	if c.limit != nil && *c.limit < 1 {
		errs = append(errs, fmt.Errorf("middleware: WithConcurrency(%d): want at least 1", *c.limit))
	}
	if d := c.deadlines; d != nil {
		if d.Max < 0 {
			errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Max %v: want a positive duration, or 0 for none", d.Max))
		}
		if d.Default < 0 || d.Max > 0 && d.Default > d.Max {
			errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Default %v: want at most Max, which is %v", d.Default, d.Max))
		}
	}
	return errors.Join(errs...)
}

// WithConcurrency sets how many requests the handler serves at a time. One
// more is refused with 503 at once: there is no queue in which it would grow
// old. A request counts until its handler returns, also if it streams or has
// hijacked its connection. The default is no limit.
func WithConcurrency(n int) Option {
	return func(c *config) { c.limit = &n }
}

// WithAttempts reads which attempt a request is, in the dialects of
// headers.AttemptOf, for [FromContext], and echoes it in the Retry-Attempt
// header of the response, by which a client sees that the server knows of
// retries. The default is off.
func WithAttempts() Option {
	return func(c *config) { c.attempts = true }
}

// WithDeadlines gives the context of each request the deadline that its client
// sent, in the dialects of headers.TimeoutOf, or those of d. A request whose
// deadline has passed on arrival gets 504 without reaching the handler, and so
// does one whose handler returned after it without an answer. The default is
// off.
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

// WithTrust sets whose attempt and deadline headers are believed. The default
// is everybody's, since they can only do harm to their sender.
func WithTrust(trusted func(*http.Request) bool) Option {
	return func(c *config) { c.trust = trusted }
}

// WithObserver adds an observer. It may be given more than once; observers are
// called in order. The default is none.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// WithDryRun decides and reports, but refuses nothing: the Event of a request
// that would have been refused has its reason and DryRun. The default is off.
func WithDryRun() Option {
	return func(c *config) { c.dryRun = true }
}
