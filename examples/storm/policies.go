package main

import (
	"net/http"
	"slices"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

const defaultPolicies = "none,retryablehttp,client,both"

// A policy is what the clients of a storm do about failures, and the middleware
// in front of their backend.
type policy struct {
	name   string // for -policies and -json
	title  string // over a column
	what   string // for the usage
	client func(cfg config, base http.RoundTripper) (*client, error)
	server func(cfg config) (func(http.Handler) http.Handler, error) // nil: the backend alone
}

// A client stands for one program that calls a backend.
type client struct {
	*http.Client
	chain     *transport.Transport               // nil without evenkeel
	budget    func(service string) budget.Budget // nil without a budget
	circuits  *breaker.Set                       // nil without a breaker
	unguarded bool
	naive     bool // it has another policy than the rest
}

func allPolicies() []policy {
	return []policy{
		{"none", "no retry", "one attempt per call", noRetry, nil},
		{"retryablehttp", "go-retryablehttp", "hashicorp/go-retryablehttp with its defaults", retryable, nil},
		{"client", "evenkeel client", "evenkeel on the client, with its defaults", evenkeel(), nil},
		{"both", "evenkeel both", "evenkeel on the client and in front of the backend", evenkeel(), protected},
		{"budget", "budget alone", "evenkeel on the client with a budget, without the guard", evenkeel(noGuard), nil},
		{"breaker", "breaker alone", "evenkeel on the client with a breaker, without budget and guard", evenkeel(withBreaker, noBudget, noGuard), nil},
		{"client-breaker", "evenkeel+breaker", "evenkeel on the client with a breaker", evenkeel(withBreaker), nil},
		{"server", "server alone", "evenkeel in front of the backend, no retry", noRetry, protected},
		// A server that sheds can be enough: the breaker must not turn its
		// refusals into an outage.
		{"both-breaker", "both + breaker", "evenkeel at both ends, with a breaker", evenkeel(withBreaker), protected},
	}
}

// pagePolicies returns all policies in the order of the page, which starts with
// the first.
func pagePolicies() []policy {
	all := allPolicies()
	first := slices.IndexFunc(all, func(p policy) bool { return p.name == "client" })
	return slices.Concat(all[first:first+1], all[:first], all[first+1:])
}

func noRetry(cfg config, base http.RoundTripper) (*client, error) {
	return &client{Client: &http.Client{Transport: base, Timeout: cfg.timeout}}, nil
}

// retryable is the client of go-retryablehttp's README, with a timeout for the
// attempt, which that leaves to the user.
func retryable(cfg config, base http.RoundTripper) (*client, error) {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.HTTPClient = &http.Client{Transport: base, Timeout: cfg.timeout}
	return &client{Client: c.StandardClient()}, nil
}

// evenkeel is a chain with as many attempts as go-retryablehttp makes. The parts
// change it; everything else is the default.
func evenkeel(parts ...part) func(config, http.RoundTripper) (*client, error) {
	return func(cfg config, base http.RoundTripper) (*client, error) {
		c := new(client)
		opts := []transport.Option{transport.WithPolicy(cfg.retries())}
		for _, part := range append([]part{withBudget}, parts...) {
			opt, err := part(c)
			if err != nil {
				return nil, err
			}
			opts = append(opts, opt)
		}
		chain, err := transport.New(base, opts...)
		if err != nil {
			return nil, err
		}
		c.chain, c.Client = chain, &http.Client{Transport: chain}
		return c, nil
	}
}

func (c config) retries() transport.Policy {
	return transport.Policy{MaxAttempts: c.attempts, AttemptTimeout: c.timeout}
}

// everySecondNaive makes clients of the policy and, in turn, such as retry without a
// budget: a fleet of which not all are as careful as they should be.
func everySecondNaive(careful func(config, http.RoundTripper) (*client, error)) func(config, http.RoundTripper) (*client, error) {
	turn := 0
	return func(cfg config, base http.RoundTripper) (*client, error) {
		if turn++; turn%2 == 1 {
			return careful(cfg, base)
		}
		c, err := retryable(cfg, base)
		if err == nil {
			c.naive = true
		}
		return c, err
	}
}

// A part makes a new option for each client: in production the clients would be
// separate programs.
type part func(*client) (transport.Option, error)

// withBudget is the default budget, made here so that the page can show its
// balance.
func withBudget(c *client) (transport.Option, error) {
	perService, err := budget.PerService(budget.Default(), 1)
	c.budget = perService
	return transport.WithBudget(perService), err
}

func noBudget(c *client) (transport.Option, error) {
	c.budget = nil
	return transport.WithBudget(nil), nil
}

func withBreaker(c *client) (transport.Option, error) {
	circuits, err := breaker.New()
	if err != nil {
		return nil, err
	}
	c.circuits = circuits
	return transport.WithBreaker(circuits.Wrap), nil
}

func noGuard(c *client) (transport.Option, error) {
	c.unguarded = true
	return transport.WithoutGuard(), nil
}

// protected is the middleware, which finds the capacity of the backend by itself.
func protected(cfg config) (func(http.Handler) http.Handler, error) {
	return middleware.New(
		middleware.WithObserver(middleware.Observer{OnNew: cfg.loads}),
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{}),
	)
}
