package moving_test

import (
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
)

func failsafeBefore() *http.Client {
	// README: failsafe before
	retry := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(2).
		WithBackoff(10*time.Millisecond, 50*time.Millisecond).
		Build()
	circuit := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
		WithFailureRateThreshold(0.5, 20, 10*time.Second).
		WithDelay(5 * time.Second).
		WithSuccessThreshold(1).
		Build()
	client := &http.Client{Transport: failsafehttp.NewRoundTripper(nil, retry, circuit)}
	// README: end
	return client
}

func failsafeAfter() (*http.Client, error) {
	// README: failsafe after
	circuits, err := breaker.New(
		breaker.WithTripRatio(0.5, 20),
		breaker.WithWindow(10*time.Second),
		breaker.WithOpenFor(5*time.Second),
		breaker.WithProbes(1),
	)
	if err != nil {
		return nil, err
	}
	chain, err := transport.New(nil,
		transport.WithPolicy(transport.Policy{
			MaxAttempts: 3,
			BaseDelay:   10 * time.Millisecond,
			MaxDelay:    50 * time.Millisecond,
		}),
		transport.WithBreaker(circuits.Wrap),
	)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

func Example_failsafe() {
	s := newShop()
	defer s.Close()
	s.visit("before", failsafeBefore())
	s.visit("after", must(failsafeAfter()))
	// Output:
	// before:
	//   GET /flaky: 200 OK
	//   GET /down: Get ".../down": retries exceeded
	//   GET /busy: Get ".../busy": context deadline exceeded
	//   POST /orders: Post ".../orders": retries exceeded, orders made: 3
	// after:
	//   GET /flaky: 200 OK
	//   GET /down: 503 Service Unavailable
	//   GET /busy: 429 Too Many Requests
	//   POST /orders: 502 Bad Gateway, orders made: 1
}
