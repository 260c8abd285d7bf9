package main

import (
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

type failsafeParts struct{ backoff, budget, breaker, throttler, limiter bool }

func isFailure(resp *http.Response, err error) bool {
	return err != nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
}

// failsafeWith returns the maker of a failsafe-go client. Its policies are in
// the order that its documentation recommends, the time limit of an attempt
// innermost. The breaker opens at half of at least 20 attempts in 10 s for 5 s:
// by its default, the first failure would open it for a minute. All else is as
// it comes.
func failsafeWith(p failsafeParts) func(http.RoundTripper, settings) (http.RoundTripper, error) {
	return func(base http.RoundTripper, s settings) (http.RoundTripper, error) {
		retry := failsafehttp.NewRetryPolicyBuilder().ReturnLastFailure()
		if p.backoff {
			retry = retry.WithMaxAttempts(s.attempts).WithBackoff(s.baseDelay, s.maxDelay).WithJitterFactor(0.5)
		}
		if p.budget {
			retry = retry.WithBudget(budget.New())
		}
		all := []failsafe.Policy[*http.Response]{retry.Build()}
		if p.breaker {
			all = append(all, circuitbreaker.NewBuilder[*http.Response]().HandleIf(isFailure).
				WithFailureRateThreshold(0.5, 20, 10*time.Second).WithDelay(5*time.Second).Build())
		}
		if p.throttler {
			all = append(all, adaptivethrottler.NewBuilder[*http.Response]().HandleIf(isFailure).Build())
		}
		if p.limiter {
			all = append(all, adaptivelimiter.NewBuilder[*http.Response]().Build())
		}
		if s.timeout > 0 {
			all = append(all, timeout.New[*http.Response](s.timeout))
		}
		return failsafehttp.NewRoundTripper(base, all...), nil
	}
}

// failsafeHedge sends a second copy after the observed 95th percentile.
func failsafeHedge(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	hedge := hedgepolicy.NewBuilderWithDelayQuantile[*http.Response](0.95, 1000, 100).Build()
	return failsafehttp.NewRoundTripper(base, hedge, timeout.New[*http.Response](s.timeout)), nil
}
