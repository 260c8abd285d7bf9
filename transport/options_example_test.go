package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// Two attempts with half a second each. The other fields take their defaults.
func ExampleWithPolicy() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithPolicy(transport.Policy{
		MaxAttempts: 2, BaseDelay: time.Millisecond, AttemptTimeout: 500 * time.Millisecond,
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println(call.Attempts, call.Stop)
	// Output:
	// 2 attempts
}

// One service has a policy of its own, which replaces that of all services.
func ExampleWithServicePolicy() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base,
		transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}),
		transport.WithServicePolicy("reports.test", transport.Policy{MaxAttempts: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	for _, url := range []string{"http://api.test/", "http://reports.test/"} {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, _ := transport.CallOf(resp)
		fmt.Println(call.Service, call.Attempts, call.Stop)
	}
	// Output:
	// api.test 3 attempts
	// reports.test 1 disabled
}

// All hosts of one backend are one service, with one budget, guard and policy.
func ExampleWithServiceName() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithServiceName(func(req *http.Request) string {
		if strings.HasSuffix(req.URL.Hostname(), ".shards.test") {
			return "shards"
		}
		return "" // the host
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	for _, url := range []string{"http://a.shards.test/", "http://b.shards.test/", "http://API.test:80/"} {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, _ := transport.CallOf(resp)
		fmt.Println(call.Service)
	}
	// Output:
	// shards
	// shards
	// api.test
}

// A constant wait between attempts.
func ExampleWithBackoff() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithBackoff(
		func(least, most time.Duration, retry int, resp *http.Response) time.Duration {
			return 2 * time.Millisecond
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println(call.Attempts, "attempts, waited", call.Waited)
	// Output:
	// 3 attempts, waited 4ms
}

// A POST is sent again, because each attempt carries the same key.
func ExampleWithIdempotencyKeys() {
	keys := map[string]int{}
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		keys[req.Header.Get("Idempotency-Key")]++
		status := 503
		if transport.Attempt(req.Context()) == 2 {
			status = 201
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithIdempotencyKeys(), transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Post("http://api.test/orders", "text/plain", strings.NewReader("an order"))
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.StatusCode, "after", call.Attempts, "attempts with", len(keys), "key")
	// Output:
	// 201 after 2 attempts with 1 key
}

// A call layer sees each call once, however many attempts it takes.
func ExampleWithCallLayer() {
	calls, attempts := 0, 0
	counting := func(next http.RoundTripper) http.RoundTripper {
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			calls++
			return next.RoundTrip(req)
		})
	}
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		attempts++
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithCallLayer(counting), transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	if _, err := client.Get("http://api.test/"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(calls, "call,", attempts, "attempts")
	// Output:
	// 1 call, 3 attempts
}

// The observer is told of each attempt, and of each call once.
func ExampleWithObserver() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		status := 503
		if transport.Attempt(req.Context()) == 2 {
			status = 200
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base,
		transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond}),
		transport.WithObserver(transport.Observer{
			OnAttempt: func(ctx context.Context, e transport.AttemptEvent) {
				fmt.Println("attempt", e.Attempt, "of", e.Service, "-", transport.ResultOf(ctx, e.Status, e.Err))
			},
			OnCall: func(_ context.Context, c transport.Call) {
				fmt.Println("call to", c.Service, "-", c.Attempts, c.Stop)
			},
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	if _, err := client.Get("http://api.test/"); err != nil {
		fmt.Println(err)
		return
	}
	// Output:
	// attempt 1 of api.test - unavailable
	// attempt 2 of api.test - success
	// call to api.test - 2 succeeded
}

// A dry run sends the request once and reports what the chain would have done.
func ExampleWithDryRun() {
	sent := 0
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithDryRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println("sent:", sent, "- would retry:", call.WouldRetry, "- stopped by", call.Stop)
	// Output:
	// sent: 1 - would retry: true - stopped by disabled
}

// Without the guard only MaxAttempts, the budget and a breaker limit what is sent
// to a service that is overloaded.
func ExampleWithoutGuard() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done() // a service that answers nothing in time
		return nil, req.Context().Err()
	})
	policy := transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Millisecond})
	for _, opts := range [][]transport.Option{{policy}, {policy, transport.WithoutGuard()}} {
		rt, err := transport.New(base, opts...)
		if err != nil {
			fmt.Println(err)
			return
		}
		for range 100 {
			req, _ := http.NewRequest("GET", "http://api.test/", nil)
			rt.RoundTrip(req)
		}
		fmt.Println("engaged:", rt.GuardState("api.test").Engaged)
	}
	// Output:
	// engaged: true
	// engaged: false
}

// A search is a POST that may be sent as often as one likes. For a single
// request the mark of net/http does the same.
func ExampleWithRepeatable() {
	chain, err := transport.New(answering(503, 200, 503, 200, 503, 200), quick,
		transport.WithRepeatable(func(req *http.Request) bool { return req.URL.Path == "/search" }))
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(req *http.Request) {
		resp, err := chain.RoundTrip(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		call, _ := transport.CallOf(resp)
		fmt.Println(req.URL.Path, resp.StatusCode, call.Attempts, call.Stop)
	}
	search, _ := http.NewRequest("POST", "http://api.test/search", strings.NewReader("query"))
	show(search)

	marked, _ := http.NewRequest("POST", "http://api.test/tokens", strings.NewReader("grant"))
	marked.Header["Idempotency-Key"] = nil
	show(marked)

	order, _ := http.NewRequest("POST", "http://api.test/orders", strings.NewReader("order"))
	show(order)
	// Output:
	// /search 200 2 succeeded
	// /tokens 200 2 succeeded
	// /orders 503 1 method
}

// A tool outlasts the restart of its service. Options after Patient override
// it, here so that the example does not wait.
func ExamplePatient() {
	chain, err := transport.New(answering(503, 502, 502, 503, 200), transport.Patient(),
		transport.WithBackoff(func(least, most time.Duration, retry int, _ *http.Response) time.Duration {
			fmt.Println("retry", retry+1, "would wait", min(least<<retry, most), "less up to a half")
			return 0
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: chain, Timeout: time.Minute}
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// retry 1 would wait 1s less up to a half
	// retry 2 would wait 2s less up to a half
	// retry 3 would wait 4s less up to a half
	// retry 4 would wait 8s less up to a half
	// 200 OK
}
