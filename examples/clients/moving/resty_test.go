package moving_test

import (
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/go-resty/resty/v2"
)

func restyBefore() *resty.Client {
	// README: resty before
	client := resty.New().
		SetRetryCount(2).
		SetRetryWaitTime(10 * time.Millisecond).
		SetRetryMaxWaitTime(50 * time.Millisecond).
		AddRetryCondition(func(r *resty.Response, err error) bool { return err != nil || r.StatusCode() >= 500 }).
		SetTimeout(10 * time.Second)
	// README: end
	return client
}

func restyAfter() (*resty.Client, error) {
	// README: resty after
	chain, err := transport.New(nil, transport.WithPolicy(transport.Policy{
		MaxAttempts: 3,
		BaseDelay:   10 * time.Millisecond,
		MaxDelay:    50 * time.Millisecond,
	}))
	if err != nil {
		return nil, err
	}
	client := resty.New().
		SetTransport(chain).
		SetTimeout(10 * time.Second)
	// README: end
	return client, nil
}

// A restyDoer sends a request by resty.
type restyDoer struct{ *resty.Client }

func (d restyDoer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.R().SetContext(req.Context()).Execute(req.Method, req.URL.String())
	if err != nil {
		return nil, err
	}
	return resp.RawResponse, nil
}

func Example_resty() {
	s := newShop()
	defer s.Close()
	s.visit("before", restyDoer{restyBefore()})
	s.visit("after", restyDoer{must(restyAfter())})
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
