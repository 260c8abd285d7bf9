package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/hashicorp/go-retryablehttp"
)

// FromClient returns options with the settings of a go-retryablehttp client. RetryMax,
// RetryWaitMin and RetryWaitMax become the policy. CheckRetry and Backoff are taken as
// they are. The Transport of its HTTPClient is the base where [New] is given nil. The
// HTTPClient's Timeout, which limits one attempt there, becomes the AttemptTimeout.
// PrepareRetry, RequestLogHook and ResponseLogHook are called as before, each with a copy
// of the request.
//
// The rules for safe retries come on top: a POST without an idempotency key is not
// repeated, a Retry-After of more than 30 seconds ends the call, and there is a budget.
// The last response is always returned, as with PassthroughErrorHandler. The Logger
// writes nothing by itself, see [Log], but the hooks still get it.
//
// The error names every setting that a transport cannot honour: an ErrorHandler other
// than PassthroughErrorHandler, a Jar or CheckRedirect, which belong in the http.Client
// that uses the transport, a RetryMax above 99, negative waits, and a RetryWaitMax below
// RetryWaitMin.
func FromClient(c *retryablehttp.Client) ([]Option, error) {
	if c == nil {
		return nil, errors.New("transport: FromClient(nil): want a client")
	}
	if err := unfitForChain(c); err != nil {
		return nil, err
	}
	policy := Policy{
		// There, a RetryMax below 0 sends once, like 0.
		MaxAttempts: max(c.RetryMax, 0) + 1,
		// There, 0 means no wait; here, it would mean the default.
		BaseDelay: max(c.RetryWaitMin, 1),
		MaxDelay:  max(c.RetryWaitMax, 1),
	}
	var base http.RoundTripper
	if h := c.HTTPClient; h != nil {
		base = h.Transport
		policy.AttemptTimeout = max(h.Timeout, 0) // which net/http takes for none, too
	}
	opts := []Option{WithPolicy(policy), option(func(cfg *config) { cfg.base = base })}
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

// unfitForChain names the settings that a transport cannot honour.
func unfitForChain(c *retryablehttp.Client) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("transport: FromClient: "+format, args...))
	}
	if c.RetryMax >= maxMaxAttempts {
		bad("RetryMax %d: want at most %d", c.RetryMax, maxMaxAttempts-1)
	}
	if c.RetryWaitMin < 0 {
		bad("RetryWaitMin %v: want 0 or more", c.RetryWaitMin)
	}
	if c.RetryWaitMax < c.RetryWaitMin {
		bad("RetryWaitMax %v: want at least RetryWaitMin, which is %v", c.RetryWaitMax, c.RetryWaitMin)
	}
	if c.ErrorHandler != nil && !passesOn(c.ErrorHandler) {
		bad("ErrorHandler: the last response is always returned, as with PassthroughErrorHandler; set it to that or nil")
	}
	if h := c.HTTPClient; h != nil && h.Jar != nil {
		bad("HTTPClient.Jar: set it on the http.Client that uses the transport")
	}
	if h := c.HTTPClient; h != nil && h.CheckRedirect != nil {
		bad("HTTPClient.CheckRedirect: set it on the http.Client that uses the transport")
	}
	return errors.Join(errs...)
}

// passesOn reports whether a handler returns the last response or error as it
// is: that of go-retryablehttp, or that of RetryableClient. Funcs cannot be compared, but
// where they begin can; a closure around one of them is another.
func passesOn(handler retryablehttp.ErrorHandler) bool {
	at := reflect.ValueOf(handler).Pointer()
	return at == reflect.ValueOf(retryablehttp.PassthroughErrorHandler).Pointer() || at == reflect.ValueOf(responseOrError).Pointer()
}

// leveled lets a LeveledLogger serve a hook, which asks for Printf.
type leveled struct{ retryablehttp.LeveledLogger }

func (l leveled) Printf(format string, args ...any) { l.Info(fmt.Sprintf(format, args...)) }

// hooks is the attempt layer that calls the hooks of a go-retryablehttp client
// where that client would, with the logger that it would give them.
func hooks(c *retryablehttp.Client) Middleware {
	var logger retryablehttp.Logger
	switch l := c.Logger.(type) {
	case retryablehttp.LeveledLogger:
		logger = leveled{l}
	case retryablehttp.Logger:
		logger = l
	}
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

// RetryableClient returns a go-retryablehttp client over the chain, for code that needs
// that type. The chain retries, the client does not. The client's methods still hold
// request bodies in memory, and its Do makes each body replayable. If a response handler
// fails, the call ends with that error alone, and the body is drained and closed.
func RetryableClient(t *Transport) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	// The client closes the idle connections of its transport, to every host,
	// whenever a call fails. The func hides them from it.
	c.HTTPClient = &http.Client{Transport: copied(t.RoundTrip)}
	c.Logger = nil
	c.RetryMax = 0
	c.CheckRetry = never
	c.ErrorHandler = responseOrError
	return c
}

// copied gives each request a reader of its own where its body is in memory. That
// client rewinds the one reader that it was given, also for redirects.
func copied(send RoundTripperFunc) RoundTripperFunc {
	return func(req *http.Request) (*http.Response, error) {
		if hasBody(req) {
			if m := inMemory(req.Body); m.known() {
				req = req.WithContext(req.Context())
				req.Body, req.GetBody = m.body(), m.getBody
			}
		}
		return send(req)
	}
}

// responseOrError ends a call of RetryableClient's client: a failed one, such as that
// of a response handler that fails, has no response.
func responseOrError(resp *http.Response, err error, _ int) (*http.Response, error) {
	if err == nil {
		return resp, nil
	}
	if resp != nil {
		setAside(resp, nil)
	}
	return nil, err
}

func never(context.Context, *http.Response, error) (bool, error) { return false, nil }
