package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var clientHeads = []string{"attempt and call", "result", "stop", "span of attempt", "span of call", "log", "error"}

// A visit is a call over real HTTP.
type visit struct {
	method  string // default GET
	body    io.Reader
	timeout time.Duration // of the http.Client
	policy  transport.Policy
	opts    []transport.Option
	base    http.RoundTripper // default a http.Transport
	within  func(context.Context) (context.Context, context.CancelFunc)
	before  func(*http.Client, string)   // what happens first, unseen
	read    func(*http.Response, func()) // default: to the end; the func cancels the call
	serve   http.HandlerFunc             // nil: no server
	isError func(error) bool             // the error column, if the call has one
	named   string                       // its name there
}

func answer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// half sends a part of the body, and then waits for its client.
func half(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// torn sends a part of the body, and breaks the connection.
func torn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// see makes the call and returns the value of each column.
func (v visit) see(t *testing.T) []string {
	w := newWatch(t)
	url := "http://127.0.0.1:1/?token=" + secret // no server listens there
	if v.serve != nil {
		srv := httptest.NewUnstartedServer(v.serve)
		srv.Config.ErrorLog = silent
		srv.Start()
		defer srv.Close()
		url = srv.URL + "/?token=" + secret
	}
	conns := &http.Transport{}
	defer conns.CloseIdleConnections()
	if v.base == nil {
		v.base = conns
	}
	if v.policy.BaseDelay == 0 {
		v.policy.BaseDelay = time.Millisecond
	}
	chain, err := transport.New(v.base, append(w.tracing.Client(), append([]transport.Option{
		transport.WithServiceName(func(*http.Request) string { return "users" }), transport.WithPolicy(v.policy),
		transport.WithObserver(w.metrics.Client()), transport.WithObserver(transport.Log(w.logger)),
	}, v.opts...)...)...)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: chain, Timeout: v.timeout}
	if v.before != nil {
		v.before(client, url)
	}
	w.mark()
	said := v.call(t, client, url)

	attempt := func(s sdktrace.ReadOnlySpan) bool { return s.SpanKind() == trace.SpanKindClient }
	call := func(s sdktrace.ReadOnlySpan) bool { return s.SpanKind() == trace.SpanKindInternal }
	result, stop := w.counted("evenkeel_client_attempts_total", "result"), w.counted("evenkeel_client_calls_total", "stop")
	w.agree("result", result, w.logged("evenkeel: attempt", "result"))
	w.agree("stop", stop, w.logged("evenkeel: call", "stop"))
	for _, s := range w.seen() {
		if got := field(s, "evenkeel.stop"); got != "" && got != stop {
			t.Errorf("the span says stop %s, the metrics %s", got, stop)
		}
		if got := field(s, "evenkeel.result"); got != "" && !strings.Contains(result+" "+said, got) && got != "body" && v.read == nil {
			t.Errorf("the span says result %s, the metrics %s", got, result)
		}
	}
	return []string{result, stop, w.statuses(attempt), w.statuses(call),
		w.levels(func(l line) bool { return strings.HasPrefix(l.message, "evenkeel: call") }), said}
}

// call returns the name of the error.
func (v visit) call(t *testing.T, client *http.Client, url string) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = "the panic"
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if v.within != nil {
		ctx, cancel = v.within(ctx)
	}
	defer cancel()
	method := v.method
	if method == "" {
		method = "GET"
	}
	req, err := http.NewRequestWithContext(ctx, method, url, v.body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		if v.isError == nil || !v.isError(err) {
			t.Errorf("error %v, want %s", err, v.named)
		}
		return v.named
	}
	defer resp.Body.Close()
	if v.read != nil {
		v.read(resp, cancel)
	} else {
		io.Copy(io.Discard, resp.Body)
	}
	return "-"
}

var errCause = errors.New("the page was left")

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// nothing is a budget without a token.
type nothing struct{}

func (nothing) Deposit()       {}
func (nothing) Withdraw() bool { return false }

func TestWhatAttemptsAndCallsComeTo(t *testing.T) {
	// Half a second is long enough for an answer on a busy machine.
	deadline := func(cause error) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadlineCause(ctx, time.Now().Add(500*time.Millisecond), cause)
		}
	}
	cancelled := func(cause error) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(500*time.Millisecond, func() { cancel(cause) })
			return ctx, func() { cancel(nil) }
		}
	}
	var guarded *transport.GuardError
	var dialed *net.OpError
	var held interface{ RefusedFor() time.Duration }
	var hedged atomic.Int32
	visits := map[string]visit{
		"answered below 400":                {serve: answer(200)},
		"answered 404":                      {serve: answer(404)},
		"answered 501":                      {serve: answer(501)},
		"answered 500, MaxAttempts reached": {serve: answer(500)},
		"answered 503 to a POST":            {serve: answer(503), method: "POST"},
		"answered 503, body not kept": {serve: answer(503), method: "PUT", body: bufio.NewReader(strings.NewReader("large")),
			policy: transport.Policy{MaxReplayBytes: 1}},
		"answered 503, the server said no":        {serve: answer(503, "X-Should-Retry: false")},
		"answered 503, budget used up":            {serve: answer(503), opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { return nothing{} })}},
		"answered 429, Retry-After too long":      {serve: answer(429, "Retry-After: 86400")},
		"answered 503, deadline before the retry": {serve: answer(503, "Retry-After: 1"), within: deadline(nil)},
		"answered 503, MaxAttempts is 1":          {serve: answer(503), policy: transport.Policy{MaxAttempts: 1}},
		"answered 503 in a dry run":               {serve: answer(503), opts: []transport.Option{transport.WithDryRun()}},
		"not sent, another was told to wait": {serve: answer(429, "Retry-After: 20"), within: deadline(nil),
			before: func(c *http.Client, url string) {
				resp, err := c.Post(url, "", nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			},
			opts:    []transport.Option{transport.WithPacing(transport.Pacing{Key: func(*http.Request) string { return "" }})},
			isError: func(err error) bool { held := held; return errors.As(err, &held) && held.RefusedFor() > 0 }, named: "RefusedFor() time.Duration"},
		"no place among those in flight": {serve: half, within: deadline(nil), opts: []transport.Option{transport.WithInFlight(1)},
			before: func(c *http.Client, url string) {
				resp, err := c.Get(url) // whose body is not read to its end
				if err != nil {
					t.Error(err)
					return
				}
				time.AfterFunc(time.Second, func() { resp.Body.Close() }) // after the deadline of the other
			},
			isError: func(err error) bool { held := held; return errors.As(err, &held) && held.RefusedFor() == 0 }, named: "RefusedFor() time.Duration"},
		"refused by the breaker": {serve: answer(500), opts: []transport.Option{tripped(t)}, isError: is(breaker.ErrOpen), named: "breaker.ErrOpen"},
		"refused by the guard": {serve: hang, policy: transport.Policy{MaxAttempts: 1, AttemptTimeout: 5 * time.Millisecond},
			before: func(c *http.Client, url string) {
				for range 200 {
					if _, err := c.Get(url); errors.As(err, &guarded) {
						return
					}
				}
				t.Error("the guard never engaged")
			},
			isError: func(err error) bool { return errors.As(err, &guarded) }, named: "*transport.GuardError"},
		"AttemptTimeout passed":                {serve: hang, policy: transport.Policy{AttemptTimeout: 20 * time.Millisecond}, opts: []transport.Option{transport.WithBudget(nil)}, isError: is(context.DeadlineExceeded), named: "context.DeadlineExceeded"},
		"deadline of the caller passed":        {serve: hang, within: deadline(nil), isError: is(context.DeadlineExceeded), named: "context.DeadlineExceeded"},
		"deadline with a cause passed":         {serve: hang, within: deadline(errCause), isError: is(errCause), named: "the cause"},
		"http.Client.Timeout passed":           {serve: hang, timeout: 20 * time.Millisecond, isError: is(context.DeadlineExceeded), named: "context.DeadlineExceeded"},
		"cancelled by the caller":              {serve: hang, within: cancelled(nil), isError: is(context.Canceled), named: "context.Canceled"},
		"cancelled with a cause":               {serve: hang, within: cancelled(errCause), isError: is(errCause), named: "the cause"},
		"cancelled while it waits for a retry": {serve: answer(503, "Retry-After: 2"), within: cancelled(nil), isError: is(context.Canceled), named: "context.Canceled"},
		"a copy that another outran": {
			serve: func(w http.ResponseWriter, r *http.Request) {
				if hedged.Add(1) == 1 {
					hang(w, r)
				}
			},
			opts: []transport.Option{transport.WithHedging(transport.Hedge{Delay: 10 * time.Millisecond, Ratio: 1})},
		},
		"no connection":     {isError: func(err error) bool { return errors.As(err, &dialed) }, named: "*net.OpError"},
		"the base panicked": {serve: answer(200), base: transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { panic("bug") })},
		"body broke off":    {serve: torn},
		"cancelled in the body": {serve: half, read: func(resp *http.Response, cancel func()) {
			cancel()
			io.Copy(io.Discard, resp.Body)
		}},
		"deadline passed in the body": {serve: half, within: deadline(nil), read: func(resp *http.Response, _ func()) {
			io.Copy(io.Discard, resp.Body)
		}},
	}
	scenes := make(map[string]func(*testing.T) []string)
	for row, v := range visits {
		scenes[row] = v.see
	}
	walk(t, outcomes(t, clientHeads...), scenes)
}

// tripped is a breaker whose circuit is open.
func tripped(t *testing.T) transport.Option {
	circuits, err := breaker.New(breaker.WithTripRatio(1, 1), breaker.WithOpenFor(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := transport.New(transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }),
		transport.WithBreaker(circuits.Wrap), transport.WithServiceName(func(*http.Request) string { return "users" }))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: chain}
	for range 100 {
		if _, err := client.Get("http://users.test/"); errors.Is(err, breaker.ErrOpen) {
			break
		}
	}
	return transport.WithBreaker(circuits.Wrap)
}
