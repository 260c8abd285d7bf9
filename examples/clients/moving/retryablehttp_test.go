package moving_test

import (
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

func retryableBefore() *http.Client {
	// README: retryablehttp before
	old := retryablehttp.NewClient()
	old.RetryMax = 2
	old.RetryWaitMin = 10 * time.Millisecond
	old.RetryWaitMax = 50 * time.Millisecond
	old.HTTPClient.Timeout = time.Second
	old.Logger = nil
	client := old.StandardClient()
	// README: end
	return client
}

func retryableAfter() (*http.Client, error) {
	// README: retryablehttp after
	chain, err := transport.New(nil, transport.WithPolicy(transport.Policy{
		MaxAttempts:    3,
		BaseDelay:      10 * time.Millisecond,
		MaxDelay:       50 * time.Millisecond,
		AttemptTimeout: time.Second,
	}))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

func retryableAdopted(old *retryablehttp.Client) (*http.Client, error) {
	// README: retryablehttp adopted
	opts, err := transport.FromClient(old)
	if err != nil {
		return nil, err
	}
	chain, err := transport.New(nil, opts...)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

func Example_retryablehttp() {
	s := newShop()
	defer s.Close()
	s.visit("before", retryableBefore())
	s.visit("after", must(retryableAfter()))

	old := retryablehttp.NewClient()
	old.RetryMax, old.RetryWaitMin, old.Logger = 2, 10*time.Millisecond, nil
	s.visit("adopted", must(retryableAdopted(old)))
	// Output:
	// before:
	//   GET /flaky: 200 OK
	//   GET /down: Get ".../down": GET .../down giving up after 3 attempt(s)
	//   GET /busy: Get ".../busy": context deadline exceeded
	//   POST /orders: Post ".../orders": POST .../orders giving up after 3 attempt(s), orders made: 3
	// after:
	//   GET /flaky: 200 OK
	//   GET /down: 503 Service Unavailable
	//   GET /busy: 429 Too Many Requests
	//   POST /orders: 502 Bad Gateway, orders made: 1
	// adopted:
	//   GET /flaky: 200 OK
	//   GET /down: 503 Service Unavailable
	//   GET /busy: 429 Too Many Requests
	//   POST /orders: 502 Bad Gateway, orders made: 1
}
