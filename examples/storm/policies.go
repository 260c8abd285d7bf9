package main

import (
	"net/http"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

const defaultPolicies = "none,retryablehttp,client,both"

// A policy is what the clients of a storm do about failures, and what stands
// in front of their backend.
type policy struct {
	name   string // for -policies and -json
	title  string // over a column
	what   string // for the usage
	client func(cfg config, base http.RoundTripper) (*http.Client, error)
	server func(cfg config) (func(http.Handler) http.Handler, error) // nil: the naive backend alone
}

func allPolicies() []policy {
	return []policy{
		{"none", "no retry", "one attempt per call", noRetry, nil},
		{"retryablehttp", "go-retryablehttp", "hashicorp/go-retryablehttp with its defaults", retryable, nil},
		{"client", "evenkeel client", "evenkeel on the client, with its defaults", evenkeel(), nil},
		{"both", "evenkeel both", "the same, and evenkeel in front of the backend", evenkeel(), protected},
		{"budget", "budget alone", "evenkeel on the client: its budget, no guard", evenkeel(noGuard), nil},
		{"breaker", "breaker alone", "evenkeel on the client: a breaker, no budget, no guard", evenkeel(withBreaker, noBudget, noGuard), nil},
		{"server", "server alone", "evenkeel in front of the backend, no retry", noRetry, protected},
		// Refusals of a server that sheds are failures to a breaker, which may
		// make an outage of what the server has in hand.
		{"both-breaker", "both + breaker", "both, and a breaker", evenkeel(withBreaker), protected},
	}
}

func noRetry(cfg config, base http.RoundTripper) (*http.Client, error) {
	return &http.Client{Transport: base, Timeout: cfg.timeout}, nil
}

// retryable is what its README shows, but for the timeout of an attempt, which
// it leaves to the user.
func retryable(cfg config, base http.RoundTripper) (*http.Client, error) {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.HTTPClient = &http.Client{Transport: base, Timeout: cfg.timeout}
	return c.StandardClient(), nil
}

// evenkeel is a chain that makes as many attempts as go-retryablehttp does.
// What the parts do not change is default.
func evenkeel(parts ...part) func(config, http.RoundTripper) (*http.Client, error) {
	return func(cfg config, base http.RoundTripper) (*http.Client, error) {
		opts := []transport.Option{
			transport.WithPolicy(transport.Policy{MaxAttempts: 5, AttemptTimeout: cfg.timeout}),
		}
		for _, part := range parts {
			opt, err := part()
			if err != nil {
				return nil, err
			}
			opts = append(opts, opt)
		}
		chain, err := transport.New(base, opts...)
		if err != nil {
			return nil, err
		}
		return &http.Client{Transport: chain}, nil
	}
}

// A part makes an option anew for each client, since clients are separate
// programs in life.
type part func() (transport.Option, error)

func withBreaker() (transport.Option, error) {
	circuits, err := breaker.New()
	if err != nil {
		return nil, err
	}
	return transport.WithBreaker(circuits.Wrap), nil
}

func noGuard() (transport.Option, error) {
	return transport.WithGuard(transport.Guard{Off: true}), nil
}

func noBudget() (transport.Option, error) { return transport.WithBudget(nil), nil }

// protected admits what the backend can serve within a quarter of the time
// that clients wait for it.
func protected(cfg config) (func(http.Handler) http.Handler, error) {
	return middleware.New(
		middleware.WithConcurrency(max(workers, int(cfg.capacity*cfg.timeout.Seconds()/4))),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{}),
	)
}
