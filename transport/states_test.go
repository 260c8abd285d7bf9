package transport_test

import (
	"context"
	"errors"
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

// One Example for each crossing of the page of states in the package comment.

// hasty gives an attempt a millisecond, and waits for nothing.
var hasty = transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: time.Millisecond}

// hangs is a service that answers nothing in time.
func hangs(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// refusing is a service that answers with a 503 and this header.
func refusing(name, value string) transport.RoundTripperFunc {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := answering(503)(req)
		if name != "" {
			resp.Header.Set(name, value)
		}
		return resp, err
	}
}

// result makes one call and says what came of it.
func result(ctx context.Context, rt http.RoundTripper) (status, attempts int, stop transport.StopReason) {
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		var e *transport.Error
		errors.As(err, &e)
		return 0, e.Attempts, e.Stop
	}
	resp.Body.Close()
	call, _ := transport.CallOf(resp)
	return resp.StatusCode, call.Attempts, call.Stop
}

// overload makes calls to a service that hangs until its guard is engaged.
func overload(rt *transport.Transport) (calls int) {
	for ; !rt.GuardState("api.test").Engaged && calls < 1000; calls++ {
		result(context.Background(), rt)
	}
	return calls
}

// The guard is above the breaker. What it holds back the breaker does not see;
// what an open circuit refuses is below the guard, and proves nothing to it.
func ExampleTransport_GuardState_breaker() {
	circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 1000))
	asked, sent, stalled := 0, 0, true
	counted := func(next http.RoundTripper) http.RoundTripper {
		next = circuits.Wrap(next)
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			asked++
			return next.RoundTrip(req)
		})
	}
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		if stalled {
			return hangs(req)
		}
		return answering(500)(req)
	})
	rt, _ := transport.New(base, transport.WithPolicy(hasty), transport.WithBudget(nil), transport.WithBreaker(counted))
	overload(rt)
	_, _, stop := result(context.Background(), rt) // at least its retry is held back
	fmt.Println(stop, "- the breaker saw only what was sent:", asked == sent)

	circuits, _ = breaker.New()
	stalled = false
	rt, _ = transport.New(base, transport.WithPolicy(hasty), transport.WithBudget(nil), transport.WithBreaker(circuits.Wrap))
	for range 100 {
		result(context.Background(), rt)
	}
	_, _, stop = result(context.Background(), rt)
	fmt.Println(stop, "- engaged:", rt.GuardState("api.test").Engaged)
	// Output:
	// guard - the breaker saw only what was sent: true
	// breaker_open - engaged: false
}

// A retry that is held back was paid for before. It is not paid for again when
// it asks again, and paid back if it is never sent.
func ExampleTransport_GuardState_budget() {
	retries := 0
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if transport.Attempt(req.Context()) > 1 {
			retries++
		}
		return hangs(req)
	})
	purse, _ := budget.NewLocal(budget.Policy{MinPerSecond: 1000})
	rt, _ := transport.New(base, transport.WithPolicy(hasty), transport.WithBudget(func(string) budget.Budget { return purse }))
	overload(rt)
	for calls := 0; purse.Stats().Refunded == 0 && calls < 1000; calls++ { // until a retry is held back
		result(context.Background(), rt)
	}
	books := purse.Stats()
	fmt.Println("paid back:", books.Refunded, "- paid for what was sent:", books.Spent == float64(retries))
	// Output:
	// paid back: 1 - paid for what was sent: true
}

// Every tenth request hangs. Where the others are refused by a server that says
// when to come back, it looks after itself; where the refusals are those of a
// proxy that has lost its server, they are no sign of life.
func ExampleTransport_GuardState_hint() {
	behind := func(refuses transport.RoundTripperFunc) *transport.Transport {
		n := 0
		rt, _ := transport.New(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if n++; n%10 == 0 {
				return hangs(req)
			}
			return refuses(req)
		}), transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: 2 * time.Millisecond}))
		return rt
	}
	proxy := behind(refusing("", ""))
	calls := overload(proxy)
	fmt.Println("503 alone, engaged:", proxy.GuardState("api.test").Engaged)

	server := behind(refusing("Retry-After", "1"))
	for range calls {
		result(context.Background(), server)
	}
	fmt.Println("503 with Retry-After, engaged:", server.GuardState("api.test").Engaged)
	// Output:
	// 503 alone, engaged: true
	// 503 with Retry-After, engaged: false
}

// A second copy is more load, so there is none while the guard is engaged.
func ExampleWithHedging_guard() {
	const delay = time.Millisecond
	copies, stalled := 0, true
	rt, _ := transport.New(
		transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if stalled {
				return hangs(req)
			}
			time.Sleep(3 * delay)
			return answering(200)(req)
		}),
		transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1, AttemptTimeout: 3 * delay}),
		transport.WithBudget(nil),
		transport.WithHedging(transport.Hedge{Delay: delay, Ratio: 1}),
		transport.WithObserver(transport.Observer{OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
			if e.Hedge {
				copies++
			}
		}}),
	)
	overload(rt)
	fmt.Println("copies before it engages:", copies > 0)

	copies, stalled = 0, false
	rt.SetPolicy("", transport.Policy{BaseDelay: 1, MaxDelay: 1})
	for status := 0; status == 0; { // until one is let through
		status, _, _ = result(context.Background(), rt)
	}
	fmt.Println("copies while engaged:", copies)
	// Output:
	// copies before it engages: true
	// copies while engaged: 0
}

// A circuit stays open for as long as the answer that trips it asks. A server
// that sheds, and says to whom it will listen again, trips none.
func ExampleWithBreaker_hint() {
	for _, hint := range [][2]string{
		{"Server", "any"}, {"Retry-After", "30"}, {"X-Should-Retry", "true"}, {"X-Should-Retry", "false"},
	} {
		circuits, _ := breaker.New(breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			fmt.Printf("%s: %s -> %s for %v\n", hint, c.From, c.To, c.OpenFor)
		}}))
		rt, _ := transport.New(refusing(hint[0], hint[1]), transport.WithBreaker(circuits.Wrap),
			transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
		for range 100 {
			result(context.Background(), rt)
		}
		if circuits.State("api.test") == breaker.StateClosed {
			fmt.Printf("%s: closed after 100\n", hint)
		}
	}
	// Output:
	// [Server any]: closed -> open for 5s
	// [Retry-After 30]: closed -> open for 30s
	// [X-Should-Retry true]: closed after 100
	// [X-Should-Retry false]: closed after 100
}

// The first failure trips this circuit. A retry that would still find it open
// is not waited for; one that comes later is the probe that closes it.
func ExampleWithBreaker_wait() {
	for _, openFor := range []time.Duration{time.Minute, 2 * time.Millisecond} {
		circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(openFor))
		rt, _ := transport.New(answering(503, 200), transport.WithBreaker(circuits.Wrap),
			transport.WithBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 4 * time.Millisecond }))
		status, attempts, stop := result(context.Background(), rt)
		fmt.Println(openFor, "-", status, attempts, stop, "- circuit", circuits.State("api.test"))
	}
	// Output:
	// 1m0s - 503 1 breaker_open - circuit open
	// 2ms - 200 2 succeeded - circuit closed
}

// A refusal of the breaker costs nothing. The answer in hand is returned, and a
// call that was never sent counts as none.
func ExampleWithBudget_breaker() {
	purse := new(purse)
	circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 1))
	rt, _ := transport.New(answering(503), quick, transport.WithBreaker(circuits.Wrap),
		transport.WithBudget(func(string) budget.Budget { return purse }))
	for range 2 {
		status, attempts, stop := result(context.Background(), rt)
		fmt.Println(status, attempts, stop, "- asked", purse.asked, "times, for", purse.deposits, "call")
	}
	// Output:
	// 503 1 breaker_open - asked 0 times, for 1 call
	// 0 0 breaker_open - asked 0 times, for 1 call
}

// What the server says goes before what the budget has: it is not asked for a
// retry that will not be. Nor does a call wait longer than MaxDelay for a token.
func ExampleWithBudget_hint() {
	for _, hint := range [][2]string{
		{"X-Should-Retry", "false"}, {"Retry-After", "3600"}, {"Retry-After", "20"}, {"Retry-After-Ms", "1"},
	} {
		empty := &purse{refuse: true}
		rt, _ := transport.New(refusing(hint[0], hint[1]), quick, transport.WithBudget(func(string) budget.Budget { return empty }))
		_, _, stop := result(context.Background(), rt)
		fmt.Println(hint, "-", stop, "- asked", empty.asked)
	}
	// Output:
	// [X-Should-Retry false] - server_said_no - asked 0
	// [Retry-After 3600] - retry_after - asked 0
	// [Retry-After 20] - budget - asked 1
	// [Retry-After-Ms 1] - budget - asked 2
}

// A budget of this process within that of the fleet. While the fleet's is paused
// nothing is retried, and what the process gave for it is given back.
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
	rt, _ := transport.New(answering(503), transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}),
		transport.WithBudget(func(string) budget.Budget { return both }))

	turn := func(pause func(ctx context.Context, name string) error) {
		for try := 0; pause(ctx, "api.test") != nil && try < 20; try++ { // it is safe to call again
		}
	}
	turn(fleet.Pause)
	_, attempts, stop := result(ctx, rt)
	fmt.Println("paused:", attempts, stop, "- local spent", local.Stats().Spent)

	turn(fleet.Resume)
	_, attempts, stop = result(ctx, rt)
	fmt.Println("resumed:", attempts, stop, "- local spent", local.Stats().Spent)
	// Output:
	// paused: 1 budget - local spent 0
	// resumed: 2 attempts - local spent 1
}

// A wait that reaches the deadline is not begun: the caller gets the answer in
// hand at once, and no budget is asked.
func ExampleTransport_deadline() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	purse := new(purse)
	rt, _ := transport.New(refusing("Retry-After", "20"), transport.WithBudget(func(string) budget.Budget { return purse }))
	status, attempts, stop := result(ctx, rt)
	fmt.Println(status, attempts, stop, "- time left:", ctx.Err() == nil, "- asked", purse.asked)
	// Output:
	// 503 1 deadline - time left: true - asked 0
}

// The calls made for an inbound request leave retries to its client if that is
// at it already, and tell it when they were made here. Package middleware puts
// the hop into the context. The header of a request says it, too, where its
// sender repeats it.
func ExampleTransport_inbound() {
	rt, _ := transport.New(answering(503), quick)
	for _, inbound := range []int{1, 1, 2} {
		hop := &headers.Hop{Attempt: inbound}
		_, attempts, stop := result(headers.WithHop(context.Background(), hop), rt)
		fmt.Println("inbound attempt", inbound, "-", attempts, stop, "- no retry above:", hop.SaidNo())
	}
	req, _ := http.NewRequest("GET", "http://api.test/", nil)
	req.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	if resp, err := rt.RoundTrip(req); err == nil {
		call, _ := transport.CallOf(resp)
		fmt.Println("of an SDK that retries -", call.Attempts, call.Stop)
	}
	// Output:
	// inbound attempt 1 - 3 attempts - no retry above: false
	// inbound attempt 1 - 3 attempts - no retry above: true
	// inbound attempt 2 - 1 disabled - no retry above: false
	// of an SDK that retries - 1 disabled
}
