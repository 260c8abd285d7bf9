package transport_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// What users get wrong is told them in words: by New where it can be, else by
// the first call, and never by a panic of this package.

// A Transport that New did not make, as where its error was ignored.
func TestTransportThatNewDidNotMake(t *testing.T) {
	ignored, _ := transport.New(nil, transport.WithPolicy(transport.Policy{MaxAttempts: -1}))
	for name, rt := range map[string]*transport.Transport{"nil": ignored, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			client := &http.Client{Transport: rt}
			body := &source{Reader: strings.NewReader("hello")}
			req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://api.test/", body)
			if err != nil {
				t.Fatal(err)
			}
			const want = "transport: this Transport was not made by New"
			if _, err := client.Do(req); err == nil || !strings.Contains(err.Error(), want) || body.closes.Load() != 1 {
				t.Errorf("Do: %v, and %d closes of the body; want %q and one", err, body.closes.Load(), want)
			}
			if err := rt.SetPolicy("api.test", transport.Policy{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("SetPolicy: %v, want %q", err, want)
			}
			client.CloseIdleConnections()
			if got, want := rt.GuardState("api.test"), (transport.GuardState{Window: math.Inf(1)}); got != want {
				t.Errorf("Guard: %+v, want %+v", got, want)
			}
			if _, err := transport.RetryableClient(rt).Get("http://api.test/"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("RetryableClient: %v, want %q", err, want)
			}
		})
	}
}

// A func that names services has to be there.
func TestNobodyNamesServices(t *testing.T) {
	_, err := transport.New(nil, transport.WithServiceName(nil), transport.WithPolicy(transport.Policy{MaxAttempts: -1}))
	for _, want := range []string{"transport: WithServiceName(nil): want", "MaxAttempts"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// A proxy, which would take a nil response for one, gets an error.
func TestProxyOverABrokenCallLayer(t *testing.T) {
	rt := build(t, answering(200), transport.WithCallLayer(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, nil })))
	proxy := &httputil.ReverseProxy{Transport: rt, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "api.test"}) }}
	w := httptest.NewRecorder()
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 502 || !strings.Contains(w.Body.String(), "call layer") {
		t.Errorf("the proxy answered %d %q, want 502", w.Code, w.Body)
	}
}

// Policies may be absurd and valid; then they do what they say.
func TestAbsurdPolicies(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		policy transport.Policy
		stop   transport.StopReason
	}{
		{transport.Policy{BaseDelay: forever}, transport.StopRetryAfter},
		{transport.Policy{BaseDelay: forever, MaxDelay: forever, MaxRetryAfter: forever}, transport.StopDeadline},
		{transport.Policy{BaseDelay: 1, MaxDelay: forever, MaxRetryAfter: forever, AttemptTimeout: forever, MaxReplayBytes: math.MaxInt64, MaxAttempts: 100}, transport.StopDeadline},
		{transport.Policy{MaxRetryAfter: forever, AttemptTimeout: forever, MaxReplayBytes: 1}, transport.StopBody},
		{transport.Policy{MaxRetryAfter: 1}, transport.StopRetryAfter},
		{transport.Policy{Statuses: []int{}}, transport.StopNotRetryable},
	} {
		synctest.Test(t, func(t *testing.T) {
			rt := build(t, &script{answers: []reply{{status: 503, header: head("Retry-After", "9223372036854775807")}}}, unlimited(), transport.WithPolicy(tt.policy))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "PUT", "http://api.test/", io.NopCloser(strings.NewReader("hello")))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatalf("%+v: %v", tt.policy, err)
			}
			call, _ := transport.CallOf(resp)
			if call.Attempts != 1 || call.Stop != tt.stop || time.Since(start) != 0 {
				t.Errorf("%+v: %+v after %v, want one attempt, stopped by %s at once", tt.policy, call, time.Since(start), tt.stop)
			}
		})
	}
	for _, p := range []transport.Policy{
		{MaxAttempts: math.MaxInt}, {MaxAttempts: math.MinInt}, {BaseDelay: math.MinInt64}, {MaxReplayBytes: math.MinInt64}, {Statuses: []int{math.MaxInt}},
	} {
		if _, err := transport.New(nil, transport.WithPolicy(p)); err == nil || !strings.Contains(err.Error(), "transport: WithPolicy: Policy.") {
			t.Errorf("%+v: %v, want an error that names the field", p, err)
		}
	}
}

func TestDoOfNothing(t *testing.T) {
	op := func(context.Context) (int, error) { return 1, nil }
	var none context.Context
	for _, tt := range []struct {
		ctx  context.Context
		op   func(context.Context) (int, error)
		want string
	}{
		{none, op, "transport: Do: the context is nil"},
		{t.Context(), nil, "transport: Do: the operation is nil"},
	} {
		if _, err := transport.Do(tt.ctx, transport.Policy{}, tt.op); err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

// Requests that were put together by hand, with fields missing.
func TestRequestsByHand(t *testing.T) {
	at := func(s string) *url.URL { u, _ := url.Parse(s); return u }
	for name, req := range map[string]*http.Request{
		"no host":            {Method: "GET", URL: &url.URL{Scheme: "http"}, Header: http.Header{}},
		"no scheme":          {Method: "GET", URL: at("//api.test/"), Header: http.Header{}},
		"an empty URL":       {URL: &url.URL{}, Header: http.Header{}},
		"an opaque URL":      {URL: at("mailto:a@b.test"), Header: http.Header{}},
		"a method of spaces": {Method: "GET X", URL: at("http://api.test/"), Header: http.Header{}},
		"a header of lines":  {URL: at("http://api.test/"), Header: http.Header{"X": {"a\nb"}}},
		"a length but no body": {Method: "PUT", URL: at("http://api.test/"), Header: http.Header{}, ContentLength: 5,
			GetBody: func() (io.ReadCloser, error) { return nil, nil }},
	} {
		var told told
		base := &http.Transport{DialContext: refuse}
		resp, err := build(t, base, told.option(), transport.WithIdempotencyKeys(), transport.WithHedging(transport.Hedge{Delay: time.Hour}),
			transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1})).RoundTrip(req)
		if resp != nil || err == nil || len(told.calls) != 1 {
			t.Errorf("%s: %v, %v, told %d times; want an error, told once", name, resp, err, len(told.calls))
		}
	}
	if resp, err := build(t, answering(200)).RoundTrip(&http.Request{URL: at("http://api.test/"), Header: http.Header{}}); err != nil || resp.StatusCode != 200 {
		t.Errorf("only a URL and a header: %v, %v; want 200", resp, err)
	}
}

func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
}
