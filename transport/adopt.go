package transport

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/go-retryablehttp"
)

// FromClient adopts the settings of a go-retryablehttp client: RetryMax,
// RetryWaitMin and RetryWaitMax become the policy, CheckRetry and Backoff are
// taken as they are, the Transport of its HTTPClient is the base where New is
// given none, and the HTTPClient's Timeout, which bounds one attempt there,
// becomes the AttemptTimeout. PrepareRetry, RequestLogHook and ResponseLogHook
// go on being called, each on a copy of the request.
//
// What keeps a retry safe comes on top: a POST without an idempotency key is
// no longer repeated, a Retry-After of more than 30 seconds ends the call, and
// there is a budget. The last response is always returned, so that an
// ErrorHandler has nothing to do. The Logger is not adopted: see [Log].
//
// An error names every setting that a transport cannot honour: a Jar and a
// CheckRedirect belong into the http.Client that the transport is put into.
func FromClient(c *retryablehttp.Client) ([]Option, error) {
	if c == nil {
		return nil, errors.New("transport: FromClient(nil): want a client")
	}
	var errs []error
	policy := Policy{
		MaxAttempts: c.RetryMax + 1,
		BaseDelay:   c.RetryWaitMin,
		MaxDelay:    c.RetryWaitMax,
	}
	if c.ErrorHandler != nil {
		errs = append(errs, errors.New("transport: FromClient: ErrorHandler: the last response is always returned; set it to nil"))
	}
	var base http.RoundTripper
	if h := c.HTTPClient; h != nil {
		base = h.Transport
		policy.AttemptTimeout = h.Timeout
		if h.Jar != nil {
			errs = append(errs, errors.New("transport: FromClient: HTTPClient.Jar: set it on the http.Client that uses the transport"))
		}
		if h.CheckRedirect != nil {
			errs = append(errs, errors.New("transport: FromClient: HTTPClient.CheckRedirect: set it on the http.Client that uses the transport"))
		}
	}
	if err := policy.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	opts := []Option{WithPolicy(policy), func(cfg *config) { cfg.base = base }}
	if c.CheckRetry != nil {
		opts = append(opts, WithCheckRetry(c.CheckRetry))
	}
	if c.Backoff != nil {
		opts = append(opts, WithBackoff(c.Backoff))
	}
	if c.PrepareRetry != nil || c.RequestLogHook != nil || c.ResponseLogHook != nil {
		opts = append(opts, WithAttemptLayer(hooks(c)))
	}
	return opts, nil
}

// hooks is the attempt layer that calls the hooks of a go-retryablehttp client
// where that client would.
func hooks(c *retryablehttp.Client) Middleware {
	logger, _ := c.Logger.(retryablehttp.Logger)
	return func(next http.RoundTripper) http.RoundTripper {
		return RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			req = withHeader(req)
			retry := Attempt(req.Context()) - 1
			if retry > 0 && c.PrepareRetry != nil {
				if err := c.PrepareRetry(req); err != nil {
					if req.Body != nil {
						req.Body.Close()
					}
					return nil, Permanent(err)
				}
			}
			if c.RequestLogHook != nil {
				c.RequestLogHook(logger, req, retry)
			}
			resp, err := next.RoundTrip(req)
			if err == nil && c.ResponseLogHook != nil {
				c.ResponseLogHook(logger, resp)
			}
			return resp, err
		})
	}
}

// NewClient returns a go-retryablehttp client over the chain, for code that
// asks for that type. The chain does the retrying, so the client does none.
// Its own methods still hold a request body in memory, and its Do turns the
// body of each request into one that can be replayed.
func NewClient(t *Transport) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	// The client closes the idle connections of its transport, to every host,
	// whenever a call fails. The func hides them from it.
	c.HTTPClient = &http.Client{Transport: RoundTripperFunc(t.RoundTrip)}
	c.Logger = nil
	c.RetryMax = 0
	c.CheckRetry = never
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return c
}

func never(context.Context, *http.Response, error) (bool, error) { return false, nil }
