package transport_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A base that pings HTTP/2 connections which have been silent for a while, so
// that one that is dead does not take all attempts.
func Example_deadConnections() {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
	chain, err := transport.New(base)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: chain}
	fmt.Println("a dead connection is dropped after", base.HTTP2.SendPingTimeout+base.HTTP2.PingTimeout)
	client.CloseIdleConnections()
	// Output:
	// a dead connection is dropped after 20s
}

// Libraries that ask for a func(http.RoundTripper) http.RoundTripper, such as
// WrapTransport of client-go, may call it for each of their clients. All of
// them then have one budget, one guard and one set of policies.
func ExampleTransport_Wrap() {
	chain, err := transport.New(nil, quick)
	if err != nil {
		fmt.Println(err)
		return
	}
	sent := 0
	for range 20 {
		client := &http.Client{Transport: chain.Wrap(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			return answering(500)(req)
		}))}
		for range 5 {
			if resp, err := client.Get("http://api.test/"); err == nil {
				resp.Body.Close()
			}
		}
	}
	fmt.Println("100 calls of 20 clients: fewer than 115 attempts?", sent < 115)
	// Output:
	// 100 calls of 20 clients: fewer than 115 attempts? true
}

// The mistake is a chain for each client. Each has a budget of its own, and
// together they retry as much as there are clients.
func ExampleTransport_Wrap_incorrect() {
	sent := 0
	for range 20 {
		chain, _ := transport.New(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			return answering(500)(req)
		}), quick)
		client := &http.Client{Transport: chain}
		for range 5 {
			if resp, err := client.Get("http://api.test/"); err == nil {
				resp.Body.Close()
			}
		}
	}
	fmt.Println("100 calls of 20 chains: more than 180 attempts?", sent > 180)
	// Output:
	// 100 calls of 20 chains: more than 180 attempts? true
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
