package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
)

// retryableDefault is a go-retryablehttp client with its defaults, except the time
// limit of an attempt.
func retryableDefault(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.HTTPClient = &http.Client{Transport: base, Timeout: s.timeout}
	return &retryablehttp.RoundTripper{Client: c}, nil
}

// retryableJitter is one with the common settings.
func retryableJitter(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	rt, err := retryableDefault(base, s)
	c := rt.(*retryablehttp.RoundTripper).Client
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = s.attempts-1, s.baseDelay, s.maxDelay
	c.Backoff = func(base, limit time.Duration, attempt int, resp *http.Response) time.Duration {
		d := fullJitter(base, limit, attempt+1)
		if resp != nil && resp.Header.Get("Retry-After") != "" {
			d = max(d, retryablehttp.DefaultBackoff(base, limit, attempt, resp))
		}
		return d
	}
	return rt, err
}

// withGobreaker judges each attempt by a gobreaker as it comes, inside a loop
// of retries.
func withGobreaker(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	return published(newUnbounded)(&gobreaking{base, gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})}, s)
}

type gobreaking struct {
	base http.RoundTripper
	cb   *gobreaker.CircuitBreaker[*http.Response]
}

var errStatus = errors.New("storm: the status counts as a failure")

func (g *gobreaking) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.cb.Execute(func() (*http.Response, error) {
		resp, err := g.base.RoundTrip(req)
		if err == nil && isFailure(resp, nil) {
			return resp, errStatus
		}
		return resp, err
	})
	if errors.Is(err, errStatus) {
		return resp, nil
	}
	return resp, err
}

// evenkeelWith returns the maker of our client: the defaults with the common
// settings, and what the options change.
func evenkeelWith(opts ...transport.Option) func(http.RoundTripper, settings) (http.RoundTripper, error) {
	return func(base http.RoundTripper, s settings) (http.RoundTripper, error) {
		p := s.policy(s.timeout)
		tell := transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) { s.stopped(string(c.Stop)) }})
		return transport.New(base, append([]transport.Option{transport.WithPolicy(p), tell}, opts...)...)
	}
}

// policy is that of our client, with a time limit of an attempt.
func (s *settings) policy(limit time.Duration) transport.Policy {
	return transport.Policy{MaxAttempts: s.attempts, AttemptTimeout: limit, BaseDelay: s.baseDelay, MaxDelay: s.maxDelay}
}

var guardOff = transport.WithoutGuard()

func evenkeelBreaker(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	circuits, err := breaker.New()
	if err != nil {
		return nil, err
	}
	return evenkeelWith(transport.WithBreaker(circuits.Wrap))(base, s)
}

func evenkeelRatio(opts ...transport.Option) func(http.RoundTripper, settings) (http.RoundTripper, error) {
	return func(base http.RoundTripper, s settings) (http.RoundTripper, error) {
		fifth, err := budget.PerService(budget.Policy{Ratio: 0.2}, 16)
		if err != nil {
			return nil, err
		}
		return evenkeelWith(append([]transport.Option{transport.WithBudget(fifth)}, opts...)...)(base, s)
	}
}

func evenkeelHedge(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	return evenkeelWith(transport.WithHedging(transport.Hedge{}))(base, s)
}

// hedgeP95 is what hedging comes to that nothing bounds.
func hedgeP95(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	return evenkeelWith(guardOff, transport.WithBudget(nil), transport.WithHedging(transport.Hedge{Quantile: 0.95, Ratio: 1}))(base, s)
}
