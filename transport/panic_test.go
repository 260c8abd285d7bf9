package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// Layers and hooks of users may panic. It passes through, and nothing is left
// open or untold.
func TestPanicsLeakNothing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		method   string // PUT if ""
		opts     []transport.Option
		base     http.RoundTripper
		answered int
	}{
		{name: "the base", base: transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { panic("boom") })},
		{name: "the service name", opts: []transport.Option{transport.WithServiceName(func(*http.Request) string { panic("boom") })}},
		{name: "the budget's func", opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { panic("boom") })}},
		{name: "a withdrawal", opts: []transport.Option{(&purse{onWithdraw: func() { panic("boom") }}).option()}, answered: 1},
		{name: "CheckRetry", opts: []transport.Option{transport.WithCheckRetry(func(context.Context, *http.Response, error) (bool, error) { panic("boom") })}, answered: 1},
		{name: "WithRepeatable", method: "POST", opts: []transport.Option{transport.WithRepeatable(func(*http.Request) bool { panic("boom") })}, answered: 1},
		{name: "WithRepeatable, hedged", method: "POST", opts: []transport.Option{transport.WithHedging(transport.Hedge{Delay: time.Second}), transport.WithRepeatable(func(*http.Request) bool { panic("boom") })},
			base: transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { panic("boom") })},
		{name: "the backoff", opts: []transport.Option{transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { panic("boom") })}, answered: 1},
		{name: "OnAttempt", opts: []transport.Option{transport.WithObserver(transport.Observer{OnAttempt: func(context.Context, transport.AttemptEvent) { panic("boom") }})}, answered: 1},
		{name: "an attempt layer", opts: []transport.Option{transport.WithAttemptLayer(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { panic("boom") }))}},
		{name: "a call layer", opts: []transport.Option{transport.WithCallLayer(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { panic("boom") }))}},
		{name: "the breaker", opts: []transport.Option{transport.WithBreaker(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			next.RoundTrip(req)
			panic("boom")
		}))}, answered: 1},
		{name: "the second attempt", opts: []transport.Option{transport.WithAttemptLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if transport.Attempt(req.Context()) == 2 {
				panic("boom")
			}
			return next.RoundTrip(req)
		}))}, answered: 1},
	} {
		for _, rewindable := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", GetBody ", rewindable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var told told
					answers := &bodies{codes: []int{503}}
					base := tt.base
					if base == nil {
						base = answers
					}
					var made []*source
					req := put(t, nil)
					if tt.method != "" {
						req.Method = tt.method
					}
					fresh := func() (io.ReadCloser, error) {
						made = append(made, &source{Reader: strings.NewReader("hello")})
						return made[len(made)-1], nil
					}
					req.Body, _ = fresh()
					if rewindable {
						req.GetBody = fresh
					}
					p := &purse{}
					rt := build(t, base, append([]transport.Option{p.option(), told.option()}, tt.opts...)...)
					func() {
						defer func() {
							if p := recover(); p != "boom" {
								t.Errorf("recovered %v, want boom", p)
							}
						}()
						rt.RoundTrip(req)
					}()
					if len(answers.made) != tt.answered {
						t.Errorf("%d answers, want %d", len(answers.made), tt.answered)
					}
					for i, b := range answers.made {
						if b.closes == 0 {
							t.Errorf("answer %d is left open", i+1)
						}
					}
					for i, b := range made {
						if b.closes.Load() == 0 {
							t.Errorf("request body %d is left open", i+1)
						}
					}
					if len(told.calls) != 1 || told.calls[0].Err == nil || told.calls[0].Stop != transport.StopNotRetryable {
						t.Errorf("OnCall saw %+v, want one failure", told.calls)
					}
				})
			})
		}
	}
}

// What an answer leaves open does not depend on there being observers.
func TestPanicAfterAnAnswerWithoutObservers(t *testing.T) {
	answers := &bodies{codes: []int{200}}
	rt := build(t, answers, transport.WithBreaker(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		next.RoundTrip(req)
		panic("boom")
	})))
	func() {
		defer func() { recover() }()
		rt.RoundTrip(put(t, nil))
	}()
	if len(answers.made) != 1 || answers.made[0].closes == 0 {
		t.Errorf("%d answers, want one that is closed", len(answers.made))
	}
}

// A panic of the base, or of a breaker, passes through and leaves nothing.
func TestDryRunPanics(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	crash := func(*http.Request) (*http.Response, error) { panic("crash") }
	for name, tt := range map[string]struct {
		base transport.RoundTripperFunc
		opt  transport.Option
	}{
		"the base":                      {crash, nil},
		"a breaker before it passes on": {answering(200), transport.WithBreaker(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { panic("crash") }))},
		"a breaker after": {answering(200), transport.WithBreaker(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			next.RoundTrip(req)
			panic("crash")
		}))},
	} {
		var told told
		body := &source{Reader: strings.NewReader("hello")}
		req := put(t, nil)
		req.Body = body
		var closed atomic.Bool
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			req.Body.Close()
			resp, err := tt.base(req)
			if err == nil {
				resp.Body = &closing{ReadCloser: resp.Body, closed: &closed}
			}
			return resp, err
		})
		func() {
			defer func() {
				if p := recover(); p != "crash" {
					t.Errorf("%s: panic %v, want crash", name, p)
				}
			}()
			build(t, base, transport.WithDryRun(), tt.opt, told.option()).RoundTrip(req)
		}()
		if len(told.calls) != 1 || body.closes.Load() != 1 || name != "the base" && !closed.Load() {
			t.Errorf("%s: told %d times, %d closes of the body, response closed %v; want once each", name, len(told.calls), body.closes.Load(), closed.Load())
		}
	}
}

type closing struct {
	io.ReadCloser
	closed *atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return c.ReadCloser.Close()
}
