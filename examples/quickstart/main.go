// Quickstart is a client and a server in one program, so that both ends can be
// seen at work: the server fails, and the client's caller does not notice.
//
//	go run ./examples/quickstart
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(serve(listener, flaky())) }()

	client, err := newClient()
	if err != nil {
		log.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	for _, path := range []string{"/steady", "/flaky", "/down"} {
		if err := get(client, url+path); err != nil {
			fmt.Println(err)
		}
	}
}

func newClient() (*http.Client, error) {
	// README: client
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
	client := &http.Client{Transport: chain, Timeout: 10 * time.Second}
	// README: end
	return client, nil
}

func get(client *http.Client, url string) error {
	// README: call
	resp, err := client.Get(url)
	if err != nil {
		return err // wraps a *transport.Error where the chain retried, waited or refused
	}
	defer resp.Body.Close()
	if call, ok := transport.CallOf(resp); ok {
		fmt.Printf("%s, attempts: %d, stopped by: %s\n", resp.Status, call.Attempts, call.Stop)
	}
	// README: end
	return nil
}

func serve(listener net.Listener, mux http.Handler) error {
	// README: server
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
		middleware.WithAttempts(),
	)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: wrap(mux)}
	// README: end
	return server.Serve(listener)
}
