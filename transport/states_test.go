package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// An Example for each pair of states in the README.

// The guard is above the breaker. The breaker does not see what the guard
// throttles. What the breaker refuses is no signal to the guard.
func ExampleTransport_GuardState_breaker() {
	policy := transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: time.Millisecond})
	sent, seen := 0, 0
	hangs := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	counts := func(next http.RoundTripper) http.RoundTripper { // stands for a breaker
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			seen++
			return next.RoundTrip(req)
		})
	}
	rt, _ := transport.New(hangs, policy, transport.WithBudget(nil), transport.WithBreaker(counts))
	for calls := 0; !rt.GuardState("api.test").Engaged && calls < 1000; calls++ {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	fmt.Println("engaged:", rt.GuardState("api.test").Engaged, "- the breaker saw what was sent:", seen == sent)

	circuits, _ := breaker.New()
	fails := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: http.NoBody, Request: req}, nil
	})
	rt, _ = transport.New(fails, policy, transport.WithBreaker(circuits.Wrap))
	for range 100 {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	fmt.Println("circuit", circuits.State("api.test"), "- engaged:", rt.GuardState("api.test").Engaged)
	// Output:
	// engaged: true - the breaker saw what was sent: true
	// circuit open - engaged: false
}

// A retry that is throttled was paid for. It is not paid for again when it asks
// again, and refunded if it is never sent.
func ExampleTransport_GuardState_budget() {
	retries := 0
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if transport.Attempt(req.Context()) > 1 {
			retries++
		}
		<-req.Context().Done() // nothing is answered in time
		return nil, req.Context().Err()
	})
	local, _ := budget.NewLocal(budget.Policy{MinPerSecond: 1000})
	rt, _ := transport.New(base,
		transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: time.Millisecond}),
		transport.WithBudget(func(string) budget.Budget { return local }))
	for calls := 0; local.Stats().Refunded == 0 && calls < 2000; calls++ { // until a retry is throttled
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	stats := local.Stats()
	fmt.Println("refunded:", stats.Refunded, "- spent what was sent:", stats.Spent == float64(retries))
	// Output:
	// refunded: 1 - spent what was sent: true
}

// A server that sheds says when to come back. That is a sign of load, as timeouts
// are. A 503 without it may come from a proxy that has lost its server, which shows
// nothing about the load.
func ExampleTransport_GuardState_hint() {
	for _, hint := range []http.Header{nil, {"Retry-After": {"1"}}} {
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: hint, Body: http.NoBody, Request: req}, nil
		})
		rt, _ := transport.New(base, transport.WithPolicy(transport.Policy{MaxAttempts: 1, MaxThrottle: 1}))
		for range 20 {
			req, _ := http.NewRequest("GET", "http://api.test/", nil)
			rt.RoundTrip(req)
		}
		fmt.Println("503 with", len(hint), "hints - engaged:", rt.GuardState("api.test").Engaged)
	}
	// Output:
	// 503 with 0 hints - engaged: false
	// 503 with 1 hints - engaged: true
}

// A second copy is more load, so none is sent while the guard is engaged.
func ExampleWithHedging_guard() {
	const delay = time.Millisecond
	copies, hangs := 0, true
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if hangs {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		time.Sleep(3 * delay)
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	rt, _ := transport.New(base, transport.WithBudget(nil),
		transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: 3 * delay}),
		transport.WithHedging(transport.Hedge{Delay: delay, Ratio: 1}),
		transport.WithObserver(transport.Observer{OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
			if e.Hedge {
				copies++
			}
		}}))
	for calls := 0; !rt.GuardState("api.test").Engaged && calls < 1000; calls++ {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	fmt.Println("copies before it is engaged:", copies > 0)

	copies, hangs = 0, false
	rt.SetPolicy("", transport.Policy{BaseDelay: 1, MaxDelay: 1})
	for sent := false; !sent; { // until a call is not throttled
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		_, err := rt.RoundTrip(req)
		sent = err == nil
	}
	fmt.Println("copies while it is engaged:", copies)
	// Output:
	// copies before it is engaged: true
	// copies while it is engaged: 0
}

// A Retry-After does not change how long a circuit is open. A server that sheds
// load, and says who should come back, does not open it.
func ExampleWithBreaker_hint() {
	for _, hint := range []http.Header{
		nil, {"Retry-After": {"30"}}, {"X-Should-Retry": {"true"}}, {"X-Should-Retry": {"false"}},
	} {
		circuits, _ := breaker.New(breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			fmt.Println(hint, c.From, "->", c.To, "for", c.OpenFor)
		}}))
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: hint, Body: http.NoBody, Request: req}, nil
		})
		rt, _ := transport.New(base, transport.WithBreaker(circuits.Wrap), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
		for range 100 {
			req, _ := http.NewRequest("GET", "http://api.test/", nil)
			rt.RoundTrip(req)
		}
		if circuits.State("api.test") == breaker.StateClosed {
			fmt.Println(hint, "closed after 100")
		}
	}
	// Output:
	// map[] closed -> open for 100ms
	// map[Retry-After:[30]] closed -> open for 100ms
	// map[X-Should-Retry:[true]] closed after 100
	// map[X-Should-Retry:[false]] closed after 100
}

// The first failure trips this circuit. A retry that would still find it open is not
// waited for. A retry that comes later is the probe that closes it.
func ExampleWithBreaker_wait() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		status := 503
		if transport.Attempt(req.Context()) == 2 {
			status = 200
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
	})
	for _, openFor := range []time.Duration{time.Minute, 2 * time.Millisecond} {
		circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(openFor))
		rt, _ := transport.New(base, transport.WithBreaker(circuits.Wrap),
			transport.WithBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 4 * time.Millisecond }))
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		resp, _ := rt.RoundTrip(req)
		call, _ := transport.CallOf(resp)
		fmt.Println(openFor, "-", call.Status, call.Attempts, call.Stop, "- circuit", circuits.State("api.test"))
	}
	// Output:
	// 1m0s - 503 1 breaker_open - circuit open
	// 2ms - 200 2 succeeded - circuit closed
}

// A refusal of the breaker costs nothing. The call ends with the response in hand,
// and one that was never sent is not counted as a request.
func ExampleWithBudget_breaker() {
	local, _ := budget.NewLocal(budget.Policy{Ratio: 1})
	circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 1))
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, _ := transport.New(base, transport.WithBreaker(circuits.Wrap),
		transport.WithBudget(func(string) budget.Budget { return local }),
		transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
			stats := local.Stats()
			fmt.Println(c.Status, c.Attempts, c.Stop, "-", stats.Requests, "request, spent", stats.Spent, "- denied", stats.Denied)
		}}))
	for range 2 {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	// Output:
	// 503 1 breaker_open - 1 request, spent 0 - denied 0
	// 0 0 breaker_open - 1 request, spent 0 - denied 0
}

// The hint of the server comes before the budget, which is not asked for a retry that
// will not be sent. An empty budget is asked again after the wait, unless that is
// longer than MaxDelay.
func ExampleWithBudget_hint() {
	for _, hint := range []http.Header{
		{"X-Should-Retry": {"false"}}, {"Retry-After": {"3600"}}, {"Retry-After": {"20"}}, {"Retry-After-Ms": {"1"}},
	} {
		empty, _ := budget.NewLocal(budget.Policy{Ratio: 0.01})
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: hint, Body: http.NoBody, Request: req}, nil
		})
		rt, _ := transport.New(base, transport.WithBudget(func(string) budget.Budget { return empty }))
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		resp, _ := rt.RoundTrip(req)
		call, _ := transport.CallOf(resp)
		fmt.Println(hint, "-", call.Stop, "- asked", empty.Stats().Denied)
	}
	// Output:
	// map[X-Should-Retry:[false]] - server_said_no - asked 0
	// map[Retry-After:[3600]] - retry_after - asked 0
	// map[Retry-After:[20]] - budget - asked 1
	// map[Retry-After-Ms:[1]] - budget - asked 2
}

// A budget of this process within that of the fleet. While the fleet's is paused
// nothing is retried, and what the process gave is refunded.
func ExampleWithBudget_fleet() {
	ctx := context.Background()
	server, err := miniredis.Run() // stands for a real one
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	fleet, _ := redisbudget.New(client)
	defer fleet.Close(ctx)
	shared, _ := fleet.Budget("api.test", budget.Policy{Ratio: 2})
	local, _ := budget.NewLocal(budget.Policy{MinPerSecond: 10})
	both := budget.All(local, shared)
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, _ := transport.New(base, transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}),
		transport.WithBudget(func(string) budget.Budget { return both }),
		transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
			fmt.Println(c.Attempts, c.Stop, "- local spent", local.Stats().Spent)
		}}))
	for _, turn := range []func(context.Context, string) (int, error){fleet.Pause, fleet.Resume} {
		turn(ctx, "api.test") // here it works at once, whatever Redis says
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
	}
	// Output:
	// 1 budget - local spent 0
	// 2 attempts - local spent 1
}

// A wait that reaches the deadline does not begin. The caller gets the response in
// hand at once, and the budget is not asked.
func ExampleTransport_deadline() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"20"}}, Body: http.NoBody, Request: req}, nil
	})
	rt, _ := transport.New(base)
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	resp, _ := rt.RoundTrip(req)
	call, _ := transport.CallOf(resp)
	fmt.Println(call.Status, call.Attempts, call.Stop, "- time left:", ctx.Err() == nil)
	for service, stats := range rt.Budgets() {
		fmt.Println(service, "- spent", stats.Spent, "- denied", stats.Denied)
	}
	// Output:
	// 503 1 deadline - time left: true
	// api.test - spent 0 - denied 0
}

// Calls for an inbound request leave retries to its client if that retries already,
// and tell it when they were made here. Package middleware puts the inbound request
// into the context. The header of a request also says it, if its sender retries.
func ExampleTransport_inbound() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, _ := transport.New(base, transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}),
		transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
			fmt.Print(c.Attempts, " ", c.Stop)
		}}))
	for _, attempt := range []int{1, 1, 2} {
		inbound := &headers.Hop{Attempt: attempt}
		req, _ := http.NewRequestWithContext(headers.WithHop(context.Background(), inbound), "GET", "http://api.test/", nil)
		rt.RoundTrip(req)
		fmt.Println(" - inbound attempt", attempt, "- told not to retry:", inbound.SaidNo())
	}
	req, _ := http.NewRequest("GET", "http://api.test/", nil)
	req.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	rt.RoundTrip(req)
	fmt.Println(" - of an SDK that retries")
	// Output:
	// 3 attempts - inbound attempt 1 - told not to retry: false
	// 3 attempts - inbound attempt 1 - told not to retry: true
	// 1 disabled - inbound attempt 2 - told not to retry: false
	// 1 disabled - of an SDK that retries
}
