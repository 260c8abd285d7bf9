package transport

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/datapunk/evenkeel/budget"
	"github.com/hashicorp/go-retryablehttp"
)

// An Option configures [New].
type Option interface {
	apply(*config)
}

// A DoOption configures [Do]: [WithBackoff], [WithBudget], [WithObserver] or
// [WithDryRun]. Each is an [Option] too. The other options concern requests only and
// do not compile as options of Do.
type DoOption interface {
	Option
	forDo()
}

type (
	option   func(*config)
	doOption func(*config)
)

func (o option) apply(c *config)   { o(c) }
func (o doOption) apply(c *config) { o(c) }
func (doOption) forDo()            {}

type config struct {
	base          http.RoundTripper // from FromClient, used where New is given none
	policy        Policy
	services      []servicePolicy
	service       func(*http.Request) string
	nameless      bool // service was given as nil
	check         retryablehttp.CheckRetry
	backoff       retryablehttp.Backoff
	budget        func(service string) budget.Budget
	noBudget      bool
	ownBudget     budget.Policy // where budget is nil and noBudget is not set
	repeatable    func(*http.Request) bool
	breaker       Middleware
	guard         bool
	fleet         Fleet
	hedge         *Hedge
	pacing        Pacing
	inFlight      *int
	resume        *int
	keys          bool
	callLayers    []Middleware
	attemptLayers []Middleware
	observers     observers
	dryRun        bool
}

type servicePolicy struct {
	name   string
	policy Policy
}

func defaults() config { return config{guard: true, ownBudget: budget.Default()} }

// defaultBase is the base where none is given.
func (c *config) defaultBase() http.RoundTripper {
	if c.base != nil {
		return c.base
	}
	return http.DefaultTransport
}

func (c *config) validate() error {
	var errs []error
	errs = append(errs, each("WithPolicy", c.policy.validate())...)
	for _, s := range c.services {
		if s.name == "" {
			errs = append(errs, errors.New(`transport: WithServicePolicy(""): want the name of a service`))
		}
		if _, host, isURL := strings.Cut(s.name, "://"); isURL && c.service == nil {
			host, _, _ = strings.Cut(host, "/")
			errs = append(errs, fmt.Errorf("transport: WithServicePolicy(%q): want %q: without WithServiceName a service is named by its host", s.name, host))
		}
		errs = append(errs, each(fmt.Sprintf("WithServicePolicy(%q)", s.name), s.policy.validate())...)
	}
	if c.nameless {
		errs = append(errs, errors.New("transport: WithServiceName(nil): want a func, or leave the option out"))
	}
	if c.fleet != nil && !c.guard {
		errs = append(errs, errors.New("transport: WithFleet, WithoutGuard: want one of them: the guard asks the fleet"))
	}
	if c.hedge != nil {
		errs = append(errs, each("WithHedging", c.hedge.validate())...)
	}
	errs = append(errs, each("WithPacing", c.pacing.validate())...)
	if c.inFlight != nil && *c.inFlight < 1 {
		errs = append(errs, fmt.Errorf("transport: WithInFlight(%d): want at least 1", *c.inFlight))
	}
	if c.resume != nil && *c.resume < 1 {
		errs = append(errs, fmt.Errorf("transport: WithResume(%d): want at least 1", *c.resume))
	}
	return errors.Join(errs...)
}

// each names the option in all the mistakes that were joined to err.
func each(option string, err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{fmt.Errorf("transport: %s: %w", option, err)}
	}
	var errs []error
	for _, mistake := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("transport: %s: %w", option, mistake))
	}
	return errs
}

func (c *config) resumes() int {
	if c.resume == nil {
		return 0
	}
	return max(*c.resume, 0)
}

func (c *config) named() map[string]*Policy {
	if len(c.services) == 0 {
		return nil
	}
	m := make(map[string]*Policy, len(c.services))
	for _, s := range c.services {
		m[spelt(s.name, c.service)] = s.policy.filled()
	}
	return m
}

// WithPolicy sets the policy of all services that have none of their own. The default
// is the zero Policy, whose fields take their defaults.
func WithPolicy(p Policy) Option {
	return option(func(c *config) { c.policy = p })
}

// WithServicePolicy sets the policy of one service. It replaces the policy of
// [WithPolicy] as a whole: zero fields take the defaults of [Policy], not the values
// given there. The service is a host in any spelling or, with [WithServiceName],
// exactly one of those names. An empty name is an error. By default no service has a
// policy of its own.
func WithServicePolicy(service string, p Policy) Option {
	return option(func(c *config) { c.services = append(c.services, servicePolicy{service, p}) })
}

// WithServiceName sets how the service of a request is named. Policies, budgets,
// guards, breakers and metrics are kept per service, so there should be few names:
// never use a URL path or an ID. The default, which also replaces an empty name, is
// URL.Host in lower case without the ports 80 and 443; see service.OfHost. Nil is an
// error of [New].
func WithServiceName(name func(*http.Request) string) Option {
	return option(func(c *config) { c.service, c.nameless = name, name == nil })
}

// WithCheckRetry sets which responses and errors are worth another attempt. It takes
// the policies of go-retryablehttp as they are. It replaces [Policy].Statuses and the
// default judgement of errors. It does not replace what makes a retry safe: the
// method, the body, the server's wish, the deadline and the budget are checked after
// it. The error that it returns is ignored: a response stays a response, and an error
// keeps its cause.
//
// Errors are passed to it in a *url.Error, as go-retryablehttp does. Errors marked by
// [Permanent] and refusals of guard and breaker are not passed to it. It must not read
// or close the response body. The default, and nil, is the policy described in
// [Policy].Statuses and go-retryablehttp's DefaultRetryPolicy for errors.
func WithCheckRetry(check retryablehttp.CheckRetry) Option {
	return option(func(c *config) { c.check = check })
}

// WithRepeatable sets which requests may be sent again although their method is not
// idempotent, such as a search that is a POST. The func is called at most once per
// call, and only for methods other than GET, HEAD, OPTIONS, TRACE, PUT and DELETE
// without an idempotency key. It gets the request as the call layers passed it on. It
// must not change the request nor read its body. A request that it allows is retried
// and hedged like a GET. By default, and with nil, only the method and the key decide.
//
// A single request can be marked without this option, as in net/http, by a key without
// a value:
//
//	req.Header["Idempotency-Key"] = nil
//
// It may then be sent again, and no key is sent. [http.Transport] then also repeats it
// by itself when a kept connection turns out to be closed.
func WithRepeatable(may func(*http.Request) bool) Option {
	return option(func(c *config) { c.repeatable = may })
}

// WithBackoff sets how long to wait before a retry, in the terms of go-retryablehttp.
// It is called with BaseDelay, MaxDelay, the number of retries before this one, which is
// at most MaxAttempts-2, and the response, which is nil after an error and whose body it
// must not touch. The result is limited to 0 up to MaxDelay. A server that asks for a
// longer wait gets it, within MaxRetryAfter. The default, and nil, is exponential backoff
// with full jitter.
func WithBackoff(backoff retryablehttp.Backoff) DoOption {
	return doOption(func(c *config) { c.backoff = backoff })
}

// WithBudget sets the retry budget of each service. The func is called once per call
// with the name of the service, and must be quick. Use budget.PerService, or the
// PerService of a fleet budget. The default is a budget of [budget.Default] for each
// service. A nil func, or one that returns nil, means no budget: then only MaxAttempts
// and the guard limit retries.
//
// An attempt after one that never reached the service costs nothing. One after a
// timeout is dear by default, since retries after timeouts are what an overload
// feeds on. A process with few calls cannot pay for it. It waits instead until
// another call to the service succeeds, which shows that the service is not what
// hangs, and ends with stop reason budget if none does.
func WithBudget(of func(service string) budget.Budget) DoOption {
	return doOption(func(c *config) { c.budget, c.noBudget = of, of == nil })
}

// WithBreaker puts a circuit breaker between the retry loop and the attempts, such as
// the Wrap method of a breaker.Set. It judges every attempt. A call that it refuses is
// retried only if the circuit closes within the wait. The default, and nil, is no
// breaker. A func that returns nil is an error of [New].
//
// A layer reports that it refused a request by an error with the method RefusedFor()
// time.Duration: the time until it may accept one. If its RoundTripper has the method
// OpenFor(*http.Request) time.Duration, that is called before a retry, so that the call
// can end with the response in hand rather than with a refusal.
func WithBreaker(mw Middleware) Option {
	return option(func(c *config) { c.breaker = mw })
}

// WithoutGuard removes the guard. By default there is one between the retry loop and
// the breaker. It limits how many attempts to a service are in flight while the service
// is over capacity. What shows that is calls in a row that time out while nothing sent
// later succeeds, or refusals that say when or whether to come back. Slow responses do
// not, and errors do not. It lifts the limit when responses arrive in time again.
//
// A call that finds no room waits for it, for as long as its remaining attempts and the
// backoffs between them could take, or [Policy].MaxThrottle. Then it is sent, or ends
// with the last response or with a [*GuardError].
func WithoutGuard() Option {
	return option(func(c *config) { c.guard = false })
}

// WithFleet has the guard also ask what other processes see of a service, such as the
// Guard of a redisbreaker.Fleet. While the fleet sees that the service is over
// capacity, the guard sends a share of first attempts and no retries or second copies.
// The other calls end with a [*GuardError] that has Fleet set, or with the response in
// hand. The default, and nil, is to judge alone. It is an error of [New] together with
// [WithoutGuard].
func WithFleet(f Fleet) Option {
	return option(func(c *config) { c.fleet = f })
}

// WithHedging sends a second copy of a request whose response takes unusually long.
// The first response that would not itself be retried wins, and the other copy is
// cancelled. A copy counts as an attempt and costs a token of the budget. It is not
// sent while the guard is engaged or the circuit is open, nor for an inbound request
// that is a retry. The default is no hedging. A field of h out of range is an error of
// [New].
//
// Only the first attempt of a call is hedged, if the request is safe to repeat and each
// copy can read its own bytes: it has no body, or one with GetBody that is a
// bytes.Buffer, bytes.Reader or strings.Reader, as it is or in an io.NopCloser. Other
// bodies are not hedged, because two results of GetBody may share one reader.
func WithHedging(h Hedge) Option {
	return option(func(c *config) { c.hedge = &h })
}

// WithIdempotencyKeys adds an Idempotency-Key to every POST and PATCH that has none. It
// is the same on all attempts of a call, so that the call may be retried. Use it only
// for servers that honour the key. The default is to add none.
func WithIdempotencyKeys() Option {
	return option(func(c *config) { c.keys = true })
}

// WithCallLayer adds layers that see each call once, around the retry loop: caching,
// authentication that retries by itself, a limit for the whole call. The first is the
// outermost. Several options add up. A nil layer is skipped. One that returns nil is an
// error of [New]. The default is no layer.
func WithCallLayer(mw ...Middleware) Option {
	return option(func(c *config) { c.callLayers = append(c.callLayers, mw...) })
}

// WithAttemptLayer adds layers that see each attempt, below breaker and timeout:
// signing, tracing. The first is the outermost. Several options add up. A nil layer is
// skipped. One that returns nil is an error of [New]. The default is no layer. A layer that
// returns an error without sending must close the request's body, as every
// [http.RoundTripper] must.
func WithAttemptLayer(mw ...Middleware) Option {
	return option(func(c *config) { c.attemptLayers = append(c.attemptLayers, mw...) })
}

// WithObserver adds an observer. Several options add up, and observers are called in
// their order. The default is no observer.
func WithObserver(o Observer) DoOption {
	return doOption(func(c *config) { c.observers = append(c.observers, o) })
}

// WithDryRun sends every request exactly once, at once and unchanged, and reports what
// the chain would have done: [Call].WouldRetry, WouldRefuse, WouldHedge, WouldTimeOut
// and WouldWait. The Stop of a call that would have been retried is [StopDisabled].
// Errors are the base's own. The default is off.
//
// Guard, breaker, hedging and budget judge a copy of each request that is not sent.
// They change state as usual and refuse nothing. The budget is charged as if retries
// were sent: give a dry run a budget of its own, not that of a fleet. No header is
// added, and the client of an inbound request is told nothing. AttemptTimeout cuts
// nothing, except that an attempt whose caller set no deadline ends after ten minutes.
// Call layers, attempt layers and observers work as usual, and up to MaxReplayBytes of
// a body without GetBody are kept.
func WithDryRun() DoOption {
	return doOption(func(c *config) { c.dryRun = true })
}
