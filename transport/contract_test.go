package transport_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
	"github.com/datapunk/evenkeel/transport/transporttest"
	"github.com/hashicorp/go-retryablehttp"
)

// layered is a layer as users write them.
func layered(next http.RoundTripper) http.RoundTripper {
	return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) { return next.RoundTrip(req) })
}

// Every layer of the package, by itself and all together. The defaults only
// wait less, since the time of a socket is real.
func TestContract(t *testing.T) {
	quick := transport.Policy{BaseDelay: time.Millisecond}
	adopted := func(c *retryablehttp.Client) []transport.Option {
		opts, err := transport.FromClient(c)
		if err != nil {
			t.Fatal(err)
		}
		return opts
	}
	hooked := retryablehttp.NewClient()
	hooked.RetryWaitMin, hooked.RetryWaitMax = time.Millisecond, 2*time.Millisecond
	hooked.PrepareRetry = func(req *http.Request) error { req.Header.Set("X-Retry", "1"); return nil }
	hooked.RequestLogHook = func(_ retryablehttp.Logger, req *http.Request, n int) { req.Header.Set("X-Hook", "1") }
	hooked.ResponseLogHook = func(retryablehttp.Logger, *http.Response) {}
	for name, opts := range map[string]func() []transport.Option{
		"defaults": func() []transport.Option { return []transport.Option{transport.WithPolicy(quick)} },
		"no budget": func() []transport.Option {
			return []transport.Option{transport.WithPolicy(quick), transport.WithBudget(nil)}
		},
		"one attempt": func() []transport.Option {
			return []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}
		},
		"dry run": func() []transport.Option {
			return []transport.Option{transport.WithPolicy(quick), transport.WithBudget(nil), transport.WithDryRun()}
		},
		"resuming": func() []transport.Option {
			return []transport.Option{transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond, BodyIdleTimeout: time.Minute}),
				transport.WithResume(3), transport.WithInFlight(1000)}
		},
		"from a client": func() []transport.Option { return append(adopted(hooked), transport.WithBudget(nil)) },
		"everything": func() []transport.Option {
			circuits, err := breaker.New(breaker.WithTripRatio(1, 1000))
			if err != nil {
				t.Fatal(err)
			}
			perService, err := budget.PerService(budget.Policy{Ratio: 1, MinPerSecond: 1000}, 10)
			if err != nil {
				t.Fatal(err)
			}
			quick := quick
			quick.AttemptTimeout = time.Minute
			return []transport.Option{
				transport.WithPolicy(quick),
				transport.WithServicePolicy("other", transport.Policy{}),
				transport.WithServiceName(func(*http.Request) string { return "peer" }),
				transport.WithCheckRetry(retryablehttp.DefaultRetryPolicy),
				transport.WithBackoff(retryablehttp.DefaultBackoff),
				transport.WithBudget(perService),
				transport.WithBreaker(circuits.Wrap),
				transport.WithHedging(transport.Hedge{Delay: 200 * time.Microsecond, Ratio: 1}),
				transport.WithIdempotencyKeys(),
				transport.WithCallLayer(layered, layered),
				transport.WithAttemptLayer(layered, layered),
				transport.WithObserver(transport.Log(nil)),
				transport.WithObserver(transport.Observer{
					OnAttempt: func(context.Context, transport.AttemptEvent) {},
					OnCall:    func(context.Context, transport.Call) {},
				}),
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
				rt, err := transport.New(base, opts()...)
				if err != nil {
					t.Fatal(err)
				}
				return rt
			})
		})
	}
	t.Run("chain", func(t *testing.T) {
		transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
			return transport.Chain(base, layered, nil, layered)
		})
	})
}

// CloseIdleConnections reaches the outermost layer that has it, once.
func TestChainForwardsCloseIdleConnections(t *testing.T) {
	var inner, base idler
	inner.RoundTripper, base.RoundTripper = http.DefaultTransport, http.DefaultTransport
	client := func(base http.RoundTripper, mw ...transport.Middleware) *http.Client {
		return &http.Client{Transport: transport.Chain(base, mw...)}
	}
	client(&base, layered).CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("past a func: the base was told %d times, want once", base.closed)
	}
	client(&base, layered, func(http.RoundTripper) http.RoundTripper { return &inner }).CloseIdleConnections()
	if inner.closed != 1 || base.closed != 1 {
		t.Errorf("a layer of its own: it was told %d times and the base %d, want once and no more", inner.closed, base.closed)
	}
	client(transport.RoundTripperFunc(base.RoundTrip), layered).CloseIdleConnections() // nobody to tell
	if rt := transport.Chain(&base); rt != &base {
		t.Errorf("Chain without layers = %T, want the base", rt)
	}
}

// What breaks the contract, below the chain or in a layer of it, is named and
// not passed on.
func TestWhatBreaksTheContract(t *testing.T) {
	for _, breaks := range []struct {
		name  string
		chain func(*testing.T, http.RoundTripper, ...transport.Option) *transport.Transport
		who   string
	}{
		{"base", func(t *testing.T, rt http.RoundTripper, opts ...transport.Option) *transport.Transport {
			return build(t, rt, append(opts, transport.WithPolicy(transport.Policy{MaxAttempts: 1}))...)
		}, "the base"},
		{"call layer", func(t *testing.T, rt http.RoundTripper, opts ...transport.Option) *transport.Transport {
			return build(t, answering(200), append(opts, transport.WithCallLayer(func(http.RoundTripper) http.RoundTripper { return rt }))...)
		}, "a call layer"},
	} {
		both := errors.New("both")
		body := &source{Reader: strings.NewReader("x")}
		for _, tt := range []struct {
			name string
			resp *http.Response
			err  error
			want string
		}{
			{"both", &http.Response{StatusCode: 200, Body: body}, both, "both"},
			{"neither", nil, nil, breaks.who + " returned neither a response nor an error"},
		} {
			var told told
			broken := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { return tt.resp, tt.err })
			resp, err := breaks.chain(t, broken, told.option()).RoundTrip(get(t, t.Context()))
			if resp != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: got %v, %v; want only an error with %q", breaks.name, tt.name, resp, err, tt.want)
			}
			if len(told.calls) != 1 || told.calls[0].Err == nil || told.calls[0].Status != 0 {
				t.Errorf("%s, %s: told %+v, want one call with the error", breaks.name, tt.name, told.calls)
			}
		}
		if body.closes.Load() != 1 {
			t.Errorf("%s: the response next to an error was closed %d times, want once", breaks.name, body.closes.Load())
		}
	}
}
