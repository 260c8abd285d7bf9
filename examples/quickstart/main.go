// README: client

// Quickstart calls the server of quickstart/server.
//
//	go run ./examples/quickstart
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
)

func newClient() (*http.Client, error) {
	circuits, err := breaker.New()
	if err != nil {
		return nil, err
	}
	chain, err := transport.New(http.DefaultTransport,
		transport.WithPolicy(transport.Policy{MaxAttempts: 3, AttemptTimeout: 2 * time.Second}),
		transport.WithBreaker(circuits.Wrap),
	)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: chain, Timeout: 10 * time.Second}, nil
}

// README: end

// README: call
func main() {
	client, err := newClient()
	if err != nil {
		log.Fatal(err)
	}
	if err := get(client, "http://localhost:8080/flaky"); err != nil {
		log.Fatal(err)
	}
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if call, ok := transport.CallOf(resp); ok {
		fmt.Printf("%s, attempts: %d, stopped by: %s\n", resp.Status, call.Attempts, call.Stop)
	}
	return nil
}

// README: end
