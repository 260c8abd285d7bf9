package transporttest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

var contextMutants = []mutant{
	{"context_lives", "cancels when RoundTrip returns", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			defer cancel()
			return base.RoundTrip(req.WithContext(ctx))
		})
	}},
	{"context_lives", "cancels at the first Read", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			resp, err := base.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = reader{reading{resp.Body, cancel}, resp.Body}
			return resp, nil
		})
	}},
	{"context_released", "never cancels its context", 0, func(base http.RoundTripper) http.RoundTripper {
		var mu sync.Mutex
		var never []func()
		return under(func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			mu.Lock()
			defer mu.Unlock()
			never = append(never, cancel)
			return ctx
		})(base)
	}},
	{"context_released", "cancels its context only at the end of a body", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			resp, err := base.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = reader{ending{resp.Body, cancel}, resp.Body}
			return resp, nil
		})
	}},
	{"cancellation_reaches_base", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_reaches_base", "passes a cancellation without its cause", 0, under(func(ctx context.Context) context.Context {
		below, cancel := context.WithCancel(context.WithoutCancel(ctx))
		context.AfterFunc(ctx, cancel)
		return below
	})},
	{"cancellation_ends_call", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_ends_call", "has an error of its own for a cancellation", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			err = errors.New("cancelled")
		}
		return resp, err
	})},
	{"cancellation_ends_upload", "sends a body whose Close does nothing", 0, sent(func(b io.ReadCloser) io.ReadCloser { return io.NopCloser(b) })},
	{"cancellation_ends_upload", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_ends_upload", "reads the whole body first", 0, sent(swallow)},
}
