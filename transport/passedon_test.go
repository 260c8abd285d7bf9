package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A listError cannot be compared: == panics for it.
type listError []error

func (e listError) Error() string { return fmt.Sprint([]error(e)) }

// A call that the chain only passed on returns the error of the base itself.
// Where the chain did more, the error says what.
func TestErrorOfACallThatWasPassedOn(t *testing.T) {
	broken := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	opts := func(o ...transport.Option) []transport.Option { return o }
	once := opts(transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
	for _, tt := range []struct {
		name   string
		method string
		body   func() io.Reader // without GetBody
		err    error
		opts   []transport.Option
		ctx    func(context.Context) context.Context
		during func(ctx context.Context) error // what the base does instead of failing with err
		stop   transport.StopReason
		sent   int
		passed bool
	}{
		{name: "final by policy", err: http.ErrSchemeMismatch, stop: transport.StopNotRetryable, sent: 1, passed: true},
		{name: "marked permanent by a layer", err: transport.Permanent(broken), stop: transport.StopNotRetryable, sent: 1, passed: true},
		{name: "an error with a method of its own", err: &url.Error{Op: "Get", URL: "http://b.test", Err: errors.New("stopped after 10 redirects")}, stop: transport.StopNotRetryable, sent: 1, passed: true},
		{name: "EOF of a POST", method: "POST", err: io.EOF, stop: transport.StopMethod, sent: 1, passed: true},
		{name: "reset of a PATCH", method: "PATCH", err: broken, stop: transport.StopMethod, sent: 1, passed: true},
		{name: "timeout of a POST by the base", method: "POST", err: context.DeadlineExceeded, stop: transport.StopMethod, sent: 1, passed: true},
		{name: "a body that is gone", method: "PUT", body: func() io.Reader { return io.MultiReader(strings.NewReader("long")) },
			opts: opts(transport.WithPolicy(transport.Policy{MaxReplayBytes: 1})), err: broken, stop: transport.StopBody, sent: 1, passed: true},
		{name: "MaxAttempts 1", err: broken, opts: once, stop: transport.StopDisabled, sent: 1, passed: true},
		{name: "MaxAttempts 1 after a timeout by the base", err: context.DeadlineExceeded, opts: once, stop: transport.StopDisabled, sent: 1, passed: true},
		{name: "a dry run", err: broken, opts: opts(transport.WithDryRun()), stop: transport.StopDisabled, sent: 1, passed: true},
		{name: "a dry run without budget", err: broken, opts: opts(transport.WithDryRun(), (&purse{refuse: true}).option()), stop: transport.StopBudget, sent: 1, passed: true},
		{name: "retries left to the hop above", err: broken, ctx: func(ctx context.Context) context.Context {
			return headers.WithHop(ctx, &headers.Hop{Attempt: 2})
		}, stop: transport.StopDisabled, sent: 1, passed: true},
		{name: "the server below said no to the hop", err: broken, ctx: func(ctx context.Context) context.Context {
			hop := new(headers.Hop)
			hop.SayNo()
			return headers.WithHop(ctx, hop)
		}, stop: transport.StopServerSaidNo, sent: 1, passed: true},
		{name: "the caller leaves during the attempt", during: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
			ctx: leaving(500 * time.Millisecond), stop: transport.StopCancelled, sent: 1, passed: true},
		{name: "the base wraps that", during: func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("read: %w", ctx.Err()) },
			ctx: leaving(500 * time.Millisecond), stop: transport.StopCancelled, sent: 1, passed: true},
		{name: "the base says something else then", during: func(ctx context.Context) error { <-ctx.Done(); return broken },
			ctx: leaving(500 * time.Millisecond), stop: transport.StopCancelled, sent: 1, passed: true},
		{name: "the deadline passes during the attempt", during: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			ctx: within(time.Second), stop: transport.StopDeadline, sent: 1, passed: true},
		{name: "the same under an AttemptTimeout", during: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
			opts: opts(transport.WithPolicy(transport.Policy{AttemptTimeout: time.Minute})), ctx: within(time.Second), stop: transport.StopDeadline, sent: 1, passed: true},

		{name: "EOF, retried: callers compare it by ==", err: io.EOF, stop: transport.StopAttempts, sent: 3, passed: true},
		{name: "EOF without budget", err: io.EOF, opts: opts((&purse{refuse: true}).option()), stop: transport.StopBudget, sent: 1, passed: true},

		{name: "retried", err: broken, stop: transport.StopAttempts, sent: 3},
		{name: "cut by AttemptTimeout, a POST", method: "POST", during: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			opts: opts(transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second})), stop: transport.StopMethod, sent: 1},
		{name: "cut by AttemptTimeout, MaxAttempts 1", during: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			opts: opts(transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Second})), stop: transport.StopDisabled, sent: 1},
		{name: "no budget", err: broken, opts: opts((&purse{refuse: true}).option()), stop: transport.StopBudget, sent: 1},
		{name: "no budget for a wait that is not worth it", err: transport.RetryAfter(broken, 10*time.Second), opts: opts((&purse{refuse: true}).option()), stop: transport.StopBudget, sent: 1},
		{name: "no time for the wait", err: broken, opts: opts(steady(2 * time.Second)), ctx: within(time.Second), stop: transport.StopDeadline, sent: 1},
		{name: "asked to wait for too long", err: transport.RetryAfter(broken, time.Hour), stop: transport.StopRetryAfter, sent: 1},
		{name: "the circuit opens", err: broken, opts: opts(transport.WithBreaker((&refuser{openFor: time.Hour}).wrap)), stop: transport.StopBreakerOpen, sent: 1},
		{name: "the circuit is open", opts: opts(transport.WithBreaker((&refuser{refuse: map[int]time.Duration{1: time.Hour}}).wrap)), stop: transport.StopBreakerOpen},
		{name: "sent after a refusal", method: "POST", err: broken, opts: opts(transport.WithBreaker((&refuser{refuse: map[int]time.Duration{1: 1}}).wrap), steady(time.Second)),
			stop: transport.StopMethod, sent: 1},
		{name: "the caller leaves during the wait", err: broken, opts: opts(steady(time.Second)), ctx: leaving(500 * time.Millisecond), stop: transport.StopCancelled, sent: 1},
		{name: "hedged", during: func(ctx context.Context) error { time.Sleep(time.Second); return http.ErrSchemeMismatch },
			opts: opts(transport.WithHedging(transport.Hedge{Delay: time.Millisecond})), stop: transport.StopNotRetryable, sent: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.ctx != nil {
					ctx = tt.ctx(ctx)
				}
				var made error
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if req.Body != nil {
						io.Copy(io.Discard, req.Body)
						req.Body.Close()
					}
					err := tt.err
					if tt.during != nil {
						err = tt.during(req.Context())
					}
					if tt.passed {
						made = err
					}
					return nil, err
				})
				req := get(t, ctx)
				if tt.method != "" {
					req.Method = tt.method
				}
				if tt.body != nil {
					req.Body, req.ContentLength = io.NopCloser(tt.body()), -1
				}
				var told told
				_, err := build(t, base, append(append([]transport.Option{unlimited()}, tt.opts...), told.option())...).RoundTrip(req)
				if c := told.calls[0]; c.Stop != tt.stop || c.Attempts != tt.sent || c.Err == nil {
					t.Errorf("the observer was told %+v, want %s after %d attempts, and the error", c, tt.stop, tt.sent)
				}
				e := new(transport.Error)
				switch {
				case tt.passed:
					if err != made {
						t.Errorf("got %#v, want the very error of the base, %#v", err, made)
					}
				case !errors.As(err, &e):
					t.Errorf("got %#v, want an *Error", err)
				case e.Stop != tt.stop || e.Attempts != tt.sent || !strings.HasSuffix(err.Error(), "stopped by "+string(tt.stop)+")"):
					t.Errorf("got %v, want %d attempts, stopped by %s", err, tt.sent, tt.stop)
				}
			})
		})
	}
}

func leaving(after time.Duration) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(after, func() { cancel(errors.New("user left")) })
		return ctx
	}
}

func within(d time.Duration) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context {
		ctx, cancel := context.WithTimeout(ctx, d)
		time.AfterFunc(d+1, cancel)
		return ctx
	}
}

func TestErrorsThatCannotBeCompared(t *testing.T) {
	broken := listError{io.EOF}
	for name, opt := range map[string]transport.Option{
		"without layers":    unlimited(),
		"with a call layer": transport.WithCallLayer(func(next http.RoundTripper) http.RoundTripper { return next }),
		"within a chain":    transport.WithAttemptLayer(func(next http.RoundTripper) http.RoundTripper { return build(t, next) }),
	} {
		req := get(t, t.Context())
		req.Method = "POST"
		_, err := build(t, &script{answers: []reply{{err: broken}}}, opt).RoundTrip(req)
		if got, ok := err.(listError); !ok || !slices.Equal(got, broken) {
			t.Errorf("%s: got %#v, want %#v", name, err, broken)
		}
	}
}

// http.Client and its callers see no difference to a bare transport: neither in
// text nor in type.
func TestErrorsAsOfABareTransport(t *testing.T) {
	hangs := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		<-hangs
	}))
	defer srv.Close()
	defer close(hangs)
	secure := strings.Replace(srv.URL, "http:", "https:", 1)
	for _, tt := range []struct {
		name, method, url string
		timeout           time.Duration
	}{
		{"Client.Timeout", "GET", srv.URL, 50 * time.Millisecond},
		{"Client.Timeout of a POST", "POST", srv.URL, 50 * time.Millisecond},
		{"EOF of a POST", "POST", srv.URL + "/abort", 0},
		{"https to a plain server", "GET", secure, 0},
		{"unsupported scheme", "GET", "ftp://a.test/", 0},
		{"no host", "GET", "http:///", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bare := &http.Transport{}
			defer bare.CloseIdleConnections()
			fails := func(rt http.RoundTripper) string {
				req, err := http.NewRequest(tt.method, tt.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = (&http.Client{Transport: rt, Timeout: tt.timeout}).Do(req)
				var uerr *url.Error
				if !errors.As(err, &uerr) {
					t.Fatalf("got %v, want a *url.Error", err)
				}
				// Within http.Client, a timer races with the deadline of the context.
				text := strings.Replace(uerr.Error(), "net/http: request canceled", "context deadline exceeded", 1)
				return fmt.Sprintf("%T %v, timeout %v, temporary %v", uerr.Err, text, uerr.Timeout(), uerr.Temporary())
			}
			var got, want string
			for range 20 {
				if got, want = fails(build(t, bare, unlimited())), fails(bare); got == want {
					return
				}
			}
			t.Errorf("got %s, want %s", got, want)
		})
	}
}

// A call layer learns what the chain did about an error that says nothing of it.
func TestCallIn(t *testing.T) {
	var call transport.Call
	var ok, within bool
	asking := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		call, ok = transport.CallIn(req.Context())
		return resp, err
	})
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		_, within = transport.CallIn(req.Context())
		return nil, http.ErrSchemeMismatch
	})
	for name, opts := range map[string][]transport.Option{
		"with a call layer": {transport.WithCallLayer(asking)},
		"without":           nil,
	} {
		within = false
		if _, err := build(t, base, opts...).RoundTrip(get(t, t.Context())); err != http.ErrSchemeMismatch || !within {
			t.Errorf("%s: %v, known to the base: %v", name, err, within)
		}
	}
	if !ok || call.Attempts != 1 || call.Stop != transport.StopNotRetryable || call.Err != http.ErrSchemeMismatch {
		t.Errorf("the layer saw %+v, %v; want one attempt, not_retryable", call, ok)
	}
	if _, ok := transport.CallIn(t.Context()); ok {
		t.Error("there is a call outside a chain")
	}
}
