package transport

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/datapunk/evenkeel/budget"
	"github.com/hashicorp/go-retryablehttp"
)

// An Option changes what [New] builds.
type Option interface {
	apply(*config)
}

// A DoOption changes what [Do] does: [WithBackoff], [WithBudget], [WithObserver]
// and [WithDryRun]. Each is an [Option] of [New] too. The other options concern
// requests only, and do not compile as options of Do.
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
	check         retryablehttp.CheckRetry
	backoff       retryablehttp.Backoff
	budget        func(service string) budget.Budget
	noBudget      bool
	ownBudget     budget.Policy // where budget is nil and noBudget is not set
	repeatable    func(*http.Request) bool
	breaker       Middleware
	guard         bool
	hedge         *Hedge
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
	if err := c.policy.validate(); err != nil {
		errs = append(errs, fmt.Errorf("transport: WithPolicy: %w", err))
	}
	for _, s := range c.services {
		if s.name == "" {
			errs = append(errs, errors.New(`transport: WithServicePolicy(""): want the name of a service`))
		}
		if err := s.policy.validate(); err != nil {
			errs = append(errs, fmt.Errorf("transport: WithServicePolicy(%q): %w", s.name, err))
		}
	}
	if c.hedge != nil {
		if err := c.hedge.validate(); err != nil {
			errs = append(errs, fmt.Errorf("transport: WithHedging: %w", err))
		}
	}
	return errors.Join(errs...)
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

// WithPolicy sets the policy of every service that has none of its own. The
// default is the zero Policy, whose fields all take their defaults.
func WithPolicy(p Policy) Option {
	return option(func(c *config) { c.policy = p })
}

// WithServicePolicy sets the policy of one service. It replaces the policy of
// [WithPolicy] whole: fields that are zero take the default of [Policy], not
// the value given there. The service is a host, in any spelling; with
// [WithServiceName] it is one of those names, to the letter. By default no
// service has a policy of its own.
func WithServicePolicy(service string, p Policy) Option {
	return option(func(c *config) { c.services = append(c.services, servicePolicy{service, p}) })
}

// WithServiceName sets how the service of a request is named. Policies,
// budgets, breakers and metrics go by that name, so it should be one of few:
// never a URL path or an ID. The default is URL.Host in lower case and without
// the ports 80 and 443, which also stands in for an empty name; see
// service.OfHost.
func WithServiceName(name func(*http.Request) string) Option {
	return option(func(c *config) { c.service = name })
}

// WithCheckRetry sets when an answer is worth another attempt, in the terms
// of go-retryablehttp, whose policies plug in unchanged. It replaces
// [Policy].Statuses and the default judgement of errors; it cannot override
// what keeps a retry safe: the method, the body, the server's "do not retry",
// the deadline and the budget still decide after it. An error that it returns
// beside its answer is ignored: a response stays a response, and an error of
// the transport keeps its cause. Errors reach it wrapped in a *url.Error, as
// go-retryablehttp's policies expect; those marked by [Permanent] and the
// refusals of a breaker do not. It must not read or close the body of the
// response.
func WithCheckRetry(check retryablehttp.CheckRetry) Option {
	return option(func(c *config) { c.check = check })
}

// WithRepeatable sets which requests may be sent again though their method is
// not idempotent: a search that is a POST, a token that is fetched by one, an
// operation that does the same however often it is asked for. The func is asked
// at most once for each call, and only about methods other than GET, HEAD,
// OPTIONS, TRACE, PUT and DELETE without an idempotency key. It gets the request
// as the call layers passed it on, and must neither change it nor read its body.
// What it allows is repeated and hedged like a GET, within the policy, the
// budget and what is kept of the body. By default, and with nil, only the method
// and the key decide.
//
// One request can be marked without an option, as in net/http: with an entry
// for the key that has no value,
//
//	req.Header["Idempotency-Key"] = nil
//
// it may be sent again, and no key is sent. [http.Transport] then repeats it,
// too, on a connection that was kept alive and turns out to be closed.
func WithRepeatable(may func(*http.Request) bool) Option {
	return option(func(c *config) { c.repeatable = may })
}

// WithBackoff sets how long to wait before an attempt, in the terms of
// go-retryablehttp. It is called where another attempt may follow, with
// BaseDelay, MaxDelay, the number of the attempt that failed counted from 0, up
// to MaxAttempts-2 however often a call is held back, and its response or nil,
// whose body it must not touch; what it returns is clamped to [0, MaxDelay]. A
// server that asks for more time than that gets it, within MaxRetryAfter. The
// default is full jitter.
func WithBackoff(backoff retryablehttp.Backoff) DoOption {
	return doOption(func(c *config) { c.backoff = backoff })
}

// WithBudget sets the retry budget of each service. The func is called once
// per call, with the name that [WithServiceName] or its default gives the
// service, and must be quick; budget.PerService and the fleet budget's
// PerService make one. The default is a local budget per service with
// [budget.Policy].Evidence, a Ratio of 0.05 and one retry per second: retries
// that help pay for themselves. A nil func, or one that returns nil, means no
// budget: then only MaxAttempts and the guard bound the retries.
func WithBudget(of func(service string) budget.Budget) DoOption {
	return doOption(func(c *config) { c.budget, c.noBudget = of, of == nil })
}

// WithBreaker puts a circuit breaker between the retry loop and the attempts,
// such as the Wrap method of a breaker set. It judges every attempt. A call
// that it refuses is not retried, unless the circuit closes within the wait.
// The default is none.
//
// A layer says that it refused a request without sending it by an error with
// the method RefusedFor() time.Duration, the time until it may accept one. If
// the RoundTripper has a method OpenFor(*http.Request) time.Duration, it is
// asked before a retry, so that the response in hand is returned instead of
// the refusal. A nil mw means none; one that returns nil is an error of [New].
func WithBreaker(mw Middleware) Option {
	return option(func(c *config) { c.breaker = mw })
}

// WithoutGuard leaves out the guard, which is on by default. It is between the
// retry loop and the breaker. It limits how many attempts are in flight to a
// service that is over capacity. Proof of that are calls in a row that time out
// while nothing sent later succeeds, or refusals that say when or whether to come
// back. Slow responses are none, nor are errors. It lifts the limit as responses
// come within the limit of an attempt again.
//
// A call that finds no room waits for it, as long as the attempts that it has left
// and the backoffs between them could take, or [Policy].MaxThrottle. It is then
// sent, or ends with a [*GuardError] or with the last real response.
func WithoutGuard() Option {
	return option(func(c *config) { c.guard = false })
}

// WithHedging sends a second copy of a request whose answer takes unusually
// long. The first good answer wins, where an answer that would be retried is
// none; the other copy is cancelled. It applies to the first attempt of calls
// that are safe to repeat and have no body, or one with GetBody whose bytes are
// in memory: a bytes.Buffer, bytes.Reader or strings.Reader, as it is or in an
// io.NopCloser, so that each copy reads the bytes for itself. Others are sent
// once, since two results of GetBody may be one reader. A copy counts as an attempt, is paid from the budget, and is not sent
// while the guard holds back or the breaker is open, or for an inbound request
// that is a retry itself. The default is off.
func WithHedging(h Hedge) Option {
	return option(func(c *config) { c.hedge = &h })
}

// WithIdempotencyKeys gives every POST and PATCH that has no Idempotency-Key a
// fresh one, the same on all attempts of a call, and thereby makes it safe to
// replay. Use it only for servers that honour the key. The default is off.
func WithIdempotencyKeys() Option {
	return option(func(c *config) { c.keys = true })
}

// WithCallLayer adds layers that see each call once, around the retry loop:
// caching, authentication that may retry on its own, a total time limit. The
// first is the outermost; several options add up. One that is nil is skipped,
// one that returns nil is an error of [New]. The default is none.
func WithCallLayer(mw ...Middleware) Option {
	return option(func(c *config) { c.callLayers = append(c.callLayers, mw...) })
}

// WithAttemptLayer adds layers that see each attempt, below breaker and
// timeout: signing, tracing. The first is the outermost; several options add
// up. One that is nil is skipped, one that returns nil is an error of [New].
// The default is none.
func WithAttemptLayer(mw ...Middleware) Option {
	return option(func(c *config) { c.attemptLayers = append(c.attemptLayers, mw...) })
}

// WithObserver adds an observer. It may be given more than once; observers are
// called in order. The default is none.
func WithObserver(o Observer) DoOption {
	return doOption(func(c *config) { c.observers = append(c.observers, o) })
}

// WithDryRun sends every request exactly once, at once, as it came, and reports
// what a real run would have done with it: [Call].WouldRetry, WouldRefuse,
// WouldHedge and WouldTimeOut. The Stop of a call that would have been retried is
// [StopDisabled]. Errors are the base's own.
//
// Guard, breaker, hedging and budget judge what is sent as they would in a real
// run, and change state by it, but refuse nothing: they see a copy of the request
// that is never sent, beside the real one, so that any layer will do as a
// breaker. The budget is charged as if a retry had been sent; give a dry run one
// of its own rather than that of a fleet. No header is added, neither
// Retry-Attempt, a timeout nor an Idempotency-Key, and nothing is said to the hop
// above. AttemptTimeout cuts nothing, except that an attempt whose caller set no
// deadline ends after ten minutes. Call layers, attempt layers and observers work
// as ever, and up to MaxReplayBytes of a body without GetBody are kept. The
// default is off.
func WithDryRun() DoOption {
	return doOption(func(c *config) { c.dryRun = true })
}
