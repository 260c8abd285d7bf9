package transport_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
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
