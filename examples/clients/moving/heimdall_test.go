package moving_test

import (
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/httpclient"
)

func heimdallBefore() *httpclient.Client {
	// README: heimdall before
	client := httpclient.NewClient(
		httpclient.WithHTTPTimeout(time.Second),
		httpclient.WithRetryCount(2),
		httpclient.WithRetrier(heimdall.NewRetrier(heimdall.NewConstantBackoff(10*time.Millisecond, 5*time.Millisecond))),
	)
	// README: end
	return client
}

func heimdallAfter() (*httpclient.Client, error) {
	// README: heimdall after
	chain, err := transport.New(nil, transport.WithPolicy(transport.Policy{
		MaxAttempts:    3,
		BaseDelay:      10 * time.Millisecond,
		AttemptTimeout: time.Second,
	}))
	if err != nil {
		return nil, err
	}
	client := httpclient.NewClient(
		httpclient.WithHTTPClient(&http.Client{Transport: chain, Timeout: 5 * time.Second}),
	)
	// README: end
	return client, nil
}

func Example_heimdall() {
	s := newShop()
	defer s.Close()
	s.visit("before", heimdallBefore())
	s.visit("after", must(heimdallAfter()))
	// Output:
	// before:
	//   GET /flaky: 200 OK
	//   GET /down: 503 Service Unavailable
	//   GET /busy: 429 Too Many Requests
	//   POST /orders: 502 Bad Gateway, orders made: 3
	// after:
	//   GET /flaky: 200 OK
	//   GET /down: 503 Service Unavailable
	//   GET /busy: 429 Too Many Requests
	//   POST /orders: 502 Bad Gateway, orders made: 1
}
