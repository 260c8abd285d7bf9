package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// busyOnce is a server that refuses the first request, and says when to come back.
func busyOnce(sent *int, wait string) transport.RoundTripperFunc {
	return func(req *http.Request) (*http.Response, error) {
		*sent++
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
		if *sent == 1 {
			resp.StatusCode = 429
			resp.Header.Set("Retry-After-Ms", wait)
		}
		return resp, nil
	}
}

// The server tells one call to come back later. The next call, with the same
// credentials, waits as well, and is not refused.
func ExampleWithPacing() {
	sent := 0
	rt, err := transport.New(busyOnce(&sent, "50"),
		transport.WithPolicy(transport.Policy{MaxAttempts: 1}),
		transport.WithPacing(transport.Pacing{
			Key: func(req *http.Request) string { return req.Header.Get("X-Account") },
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	for _, account := range []string{"a", "a", "b"} {
		req, err := http.NewRequest("GET", "http://api.test/", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-Account", account)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, _ := transport.CallOf(resp)
		fmt.Println(account, resp.StatusCode, "waited:", call.Paused >= 50*time.Millisecond)
	}
	// Output:
	// a 429 waited: false
	// a 200 waited: true
	// b 200 waited: false
}

func ExampleTransport_PausedUntil() {
	sent := 0
	rt, err := transport.New(busyOnce(&sent, "20000"), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	fmt.Println("before:", rt.PausedUntil("api.test").IsZero())
	if _, err := client.Get("http://api.test/"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("after:", time.Until(rt.PausedUntil("api.test")).Round(time.Second))
	// Output:
	// before: true
	// after: 20s
}

// A call whose deadline is before the end of the pause is refused at once: the server
// would refuse it too.
func ExampleWithPacing_deadline() {
	sent := 0
	rt, _ := transport.New(busyOnce(&sent, "20000"), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			fmt.Println(err.(*transport.Error).Stop, err.(*transport.Error).Attempts, "attempts")
			continue
		}
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 429
	// retry_after 0 attempts
}

// A call that was told to wait longer than MaxRetryAfter ends, and begins no pause.
func ExampleWithPacing_hint() {
	sent := 0
	rt, _ := transport.New(busyOnce(&sent, "31000"))
	for range 2 {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			fmt.Println(err)
			continue
		}
		call, _ := transport.CallOf(resp)
		fmt.Println(resp.StatusCode, call.Stop)
	}
	// Output:
	// 429 retry_after
	// 200 succeeded
}

// No second copy is sent during a pause. Here it begins while the first is in flight.
func ExampleWithPacing_hedging() {
	var rt *transport.Transport
	sent := 0
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if req.Method == "POST" {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"20"}}, Body: http.NoBody, Request: req}, nil
		}
		sent++
		post, _ := http.NewRequest("POST", "http://api.test/", nil)
		rt.RoundTrip(post)
		time.Sleep(100 * time.Millisecond) // longer than the delay of a copy
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	rt, _ = transport.New(base, transport.WithHedging(transport.Hedge{Delay: 50 * time.Millisecond, Ratio: 1}))
	get, _ := http.NewRequest("GET", "http://api.test/", nil)
	resp, _ := rt.RoundTrip(get)
	fmt.Println(resp.StatusCode, "after", sent, "request")
	// Output:
	// 200 after 1 request
}
