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
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport"
)

// lost is a layer whose author forgot to return what it made.
func lost(http.RoundTripper) http.RoundTripper { return nil }

// A layer that comes out nil is found when the chain is made, not by its first
// call.
func TestLayersThatAreNil(t *testing.T) {
	_, err := transport.New(answering(200),
		transport.WithCallLayer(layered, nil, lost, layered),
		transport.WithAttemptLayer(layered), transport.WithAttemptLayer(lost, lost),
		transport.WithBreaker(lost))
	if err == nil {
		t.Fatal("New took layers that return nil")
	}
	want := []string{
		"transport: WithAttemptLayer: middleware 2 of 3 returned nil, want a RoundTripper",
		"transport: WithAttemptLayer: middleware 3 of 3 returned nil, want a RoundTripper",
		"transport: WithBreaker: middleware 1 of 1 returned nil, want a RoundTripper",
		"transport: WithCallLayer: middleware 3 of 4 returned nil, want a RoundTripper",
	}
	if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("New says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What is nil hides neither behind another mistake nor inside an interface.
func TestEveryMistakeOfAChainIsNamed(t *testing.T) {
	typed := func(http.RoundTripper) http.RoundTripper { return (*http.Transport)(nil) }
	empty := func(http.RoundTripper) http.RoundTripper { return transport.RoundTripperFunc(nil) }
	_, err := transport.New((*http.Transport)(nil), transport.WithPolicy(transport.Policy{MaxAttempts: -1}),
		transport.WithHedging(transport.Hedge{Ratio: 2}), transport.WithCallLayer(lost, empty), transport.WithBreaker(typed))
	if err == nil {
		t.Fatal("New took them all")
	}
	for _, want := range []string{
		"WithPolicy: Policy.MaxAttempts -1",
		"WithHedging: Hedge.Ratio 2",
		"the base is a nil *http.Transport",
		"WithCallLayer: middleware 1 of 2 returned nil",
		"WithCallLayer: middleware 2 of 2 returned nil",
		"WithBreaker: middleware 1 of 1 returned nil",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New says\n%v\nwhich lacks %q", err, want)
		}
	}
	rt := build(t, answering(200)).Wrap((*http.Transport)(nil))
	if _, err := rt.RoundTrip(get(t, t.Context())); err == nil || !strings.Contains(err.Error(), "the base is a nil *http.Transport") {
		t.Errorf("Wrap of a nil base answers %v", err)
	}
}

// Each line of the error begins with its option, and a URL in place of a name is named.
func TestEachMistakeNamesItsOption(t *testing.T) {
	for _, row := range []struct {
		name string
		opts []transport.Option
		want string
	}{
		{"two fields of a policy", []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: -1, MaxReplayBytes: -1})},
			"transport: WithPolicy: Policy.MaxAttempts -1: want 1 to 100, or 0 for the default\n" +
				"transport: WithPolicy: Policy.MaxReplayBytes -1: want a positive number of bytes, or 0 for the default"},
		{"two fields of a hedge", []transport.Option{transport.WithHedging(transport.Hedge{Delay: -1, Ratio: 2})},
			"transport: WithHedging: Hedge.Delay -1ns: want a positive duration, or 0 for the observed one\n" +
				"transport: WithHedging: Hedge.Ratio 2: want 0.001 up to 1, or 0 for the default"},
		{"a URL for a service", []transport.Option{transport.WithServicePolicy("https://users.test:8443/v1", transport.Policy{})},
			`transport: WithServicePolicy("https://users.test:8443/v1"): want "users.test:8443": without WithServiceName a service is named by its host`},
		{"a name like a URL, of one's own", []transport.Option{
			transport.WithServicePolicy("https://users.test", transport.Policy{}),
			transport.WithServiceName(func(r *http.Request) string { return r.URL.Scheme + "://" + r.URL.Host }),
		}, ""},
	} {
		_, err := transport.New(nil, row.opts...)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: New says\n%s\nwant\n%s", row.name, got, row.want)
		}
	}
}

// A budget that is a nil pointer is a mistake, of which the calls tell.
func TestBudgetThatIsANilPointer(t *testing.T) {
	own, _ := budget.NewLocal(budget.Policy{MinPerSecond: 1})
	known := map[string]*budget.Local{"known.test": own}
	of := transport.WithBudget(func(service string) budget.Budget { return known[service] })
	var told told
	base := &script{answers: statuses(200)}
	rt := build(t, base, of, told.option())
	body := &source{Reader: strings.NewReader("hello")}
	_, err := rt.RoundTrip(put(t, body))
	if err == nil || !strings.Contains(err.Error(), `WithBudget: the budget of "api.test" is a nil *budget.Local`) || body.closes.Load() != 1 {
		t.Errorf("%v and %d closes of the body, want an error that names the option, and one close", err, body.closes.Load())
	}
	if len(base.seen) != 0 || len(told.calls) != 1 || told.calls[0].Err != err || told.calls[0].Attempts != 0 {
		t.Errorf("sent %d requests and told %+v, want none and the error once", len(base.seen), told.calls)
	}
	req := get(t, t.Context())
	req.URL.Host = "known.test"
	if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
		t.Errorf("a service with a budget: %v, %v; want 200", resp, err)
	}
	_, err = transport.Do(t.Context(), transport.Policy{}, func(context.Context) (int, error) {
		t.Error("the operation was run")
		return 0, nil
	}, of)
	if err == nil || !strings.Contains(err.Error(), "a nil *budget.Local") {
		t.Errorf("Do says %v, want an error that names the option", err)
	}
}

// A layer that hands on a request which is not one gets the words of net/http.
func TestMalformedByALayer(t *testing.T) {
	p := transport.Policy{AttemptTimeout: time.Second, BaseDelay: 1, MaxDelay: 1}
	hands := func(made func(*http.Request) *http.Request) transport.Middleware {
		return layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(made(req))
		})
	}
	for name, made := range map[string]func(*http.Request) *http.Request{
		"no header": func(r *http.Request) *http.Request {
			return (&http.Request{Method: "GET", URL: r.URL}).WithContext(r.Context())
		},
		"no header, and a context of its own": func(r *http.Request) *http.Request { return &http.Request{URL: r.URL} },
		"no URL": func(r *http.Request) *http.Request {
			return (&http.Request{Header: http.Header{}}).WithContext(r.Context())
		},
		"nothing": func(r *http.Request) *http.Request { return (&http.Request{}).WithContext(r.Context()) },
	} {
		for place, opt := range map[string]transport.Option{
			"call layer": transport.WithCallLayer(hands(made)), "breaker": transport.WithBreaker(hands(made)), "attempt layer": transport.WithAttemptLayer(hands(made)),
		} {
			_, want := (&http.Transport{}).RoundTrip(made(get(t, t.Context())))
			var told told
			_, err := build(t, &http.Transport{}, opt, transport.WithPolicy(p), transport.WithIdempotencyKeys(),
				transport.WithHedging(transport.Hedge{Delay: time.Minute}), told.option()).RoundTrip(get(t, t.Context()))
			if err == nil || !strings.Contains(err.Error(), want.Error()) || len(told.calls) != 1 {
				t.Errorf("%s by a %s: %v, told %d times; want %v, told once", name, place, err, len(told.calls), want)
			}
		}
	}
	none := hands(func(*http.Request) *http.Request { return nil })
	if _, err := build(t, answering(200), transport.WithCallLayer(none)).RoundTrip(get(t, t.Context())); err == nil {
		t.Error("a call layer that hands on nil: no error")
	}
}

// A layer that is not there is left out, so that one may depend on a setting.
func TestLayersThatAreNotThere(t *testing.T) {
	var off transport.Middleware
	rt := build(t, answering(200), transport.WithCallLayer(off), transport.WithAttemptLayer(off, off), transport.WithBreaker(off))
	if resp, err := rt.RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v; want 200", resp, err)
	}
	base := answering(200)
	if resp, err := transport.Chain(base, off, layered, off).RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 {
		t.Errorf("Chain: %v, %v; want 200", resp, err)
	}
}

// A nil Transport of an http.Client is http.DefaultTransport: Chain must not
// return one where a layer was asked for.
func TestChainOfALayerThatIsNil(t *testing.T) {
	defer func() {
		if got, want := recover(), "transport: Chain: middleware 2 of 2 returned nil, want a RoundTripper"; got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	transport.Chain(answering(200), layered, lost)
}

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
