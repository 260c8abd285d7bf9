package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport"
)

func layer(f func(next http.RoundTripper, req *http.Request) (*http.Response, error)) transport.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) { return f(next, req) })
	}
}

// A call layer may call on, twice, or not at all, and return what it likes:
// there is one call, and it ended with what the caller got.
func TestCallLayers(t *testing.T) {
	stale := errors.New("nothing in the cache")
	for _, tt := range []struct {
		name     string
		layer    func(next http.RoundTripper, req *http.Request) (*http.Response, error)
		answers  []reply
		attempts int
		stop     transport.StopReason
		status   int
		err      error
	}{
		{name: "on", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) { return next.RoundTrip(req) },
			answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded, status: 200},
		{name: "twice", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return next.RoundTrip(req)
		}, answers: statuses(503, 401, 503, 503, 200), attempts: 5, stop: transport.StopSucceeded, status: 200},
		{name: "never, with a response", layer: func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
			return answering(203)(req)
		}, attempts: 0, stop: transport.StopSucceeded, status: 203},
		{name: "never, with an error", layer: func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, stale },
			attempts: 0, stop: transport.StopNotRetryable, err: stale},
		{name: "an answer for an error", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if resp, err := next.RoundTrip(req); err == nil {
				return resp, nil
			}
			return answering(203)(req)
		}, answers: []reply{{err: io.ErrUnexpectedEOF}}, attempts: 3, stop: transport.StopAttempts, status: 203},
		{name: "an error for an answer", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				err = stale
			}
			return nil, err
		}, answers: statuses(503), attempts: 3, stop: transport.StopAttempts, err: stale},
		{name: "a context of its own", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(req.WithContext(context.Background()))
		}, answers: statuses(503, 200), attempts: 0, stop: transport.StopSucceeded, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				rt := build(t, &script{answers: tt.answers}, unlimited(), told.option(), transport.WithCallLayer(layer(tt.layer)))
				resp, err := rt.RoundTrip(get(t, t.Context()))
				status := 0
				if resp != nil {
					status = resp.StatusCode
				}
				if status != tt.status || tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("got %d, %v; want %d, %v", status, err, tt.status, tt.err)
				}
				if len(told.calls) != 1 {
					t.Fatalf("OnCall %d times, want once", len(told.calls))
				}
				c := told.calls[0]
				if c.Attempts != tt.attempts || c.Stop != tt.stop || c.Status != tt.status || (c.Err == nil) != (tt.err == nil) || c.Err != nil && !errors.Is(c.Err, tt.err) {
					t.Errorf("OnCall saw %+v; want %d attempts, %s, %d, %v", c, tt.attempts, tt.stop, tt.status, tt.err)
				}
			})
		})
	}
}

// Layers are placed as documented, in their order.
func TestOrderOfLayers(t *testing.T) {
	var log []string
	named := func(name string) transport.Middleware {
		return layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			log = append(log, fmt.Sprint(name, transport.Attempt(req.Context()), service.Of(req.Context()), req.Header.Get("Retry-Attempt")[:min(1, len(req.Header.Get("Retry-Attempt")))]))
			return next.RoundTrip(req)
		})
	}
	rt := build(t, answering(503, 200), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}),
		transport.WithAttemptLayer(named("attempt A "), nil, named("attempt B ")), transport.WithBreaker(named("breaker ")),
		transport.WithCallLayer(named("call A ")), transport.WithCallLayer(named("call B ")),
		transport.WithObserver(transport.Observer{
			OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				log = append(log, fmt.Sprint("told of attempt ", e.Attempt))
			},
			OnCall: func(context.Context, transport.Call) { log = append(log, "told of the call") },
		}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	want := `call A 0api.test, call B 0api.test, breaker 1api.test, attempt A 1api.test, attempt B 1api.test, told of attempt 1, ` +
		`breaker 2api.test, attempt A 2api.test2, attempt B 2api.test2, told of attempt 2, told of the call`
	if got := strings.Join(log, ", "); got != want {
		t.Errorf("order:\n%s\nwant:\n%s", got, want)
	}
}

// What is wrong with a request is for the base to say, and one call to tell.
func TestMalformedRequests(t *testing.T) {
	for name, req := range map[string]*http.Request{
		"no URL": {Header: http.Header{}},
		"no header": func() *http.Request {
			r := httptest.NewRequest("GET", "http://api.test/", nil)
			r.Header, r.RequestURI = nil, ""
			return r
		}(),
		"nothing": {},
	} {
		var told told
		body := &source{Reader: strings.NewReader("hello")}
		req.Body = body
		resp, err := build(t, &http.Transport{}, told.option(), transport.WithServiceName(func(r *http.Request) string { return r.URL.Host })).RoundTrip(req)
		if resp != nil || err == nil || len(told.calls) != 1 || told.calls[0].Err == nil || told.calls[0].Attempts != 0 || body.closes.Load() != 1 {
			t.Errorf("%s: %v, %v, told %+v, %d closes; want the error of net/http, told once, one close", name, resp, err, told.calls, body.closes.Load())
		}
	}
}
