package transport_test

import (
	"fmt"
	"net/http"
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
