// Retryablehttp moves an existing go-retryablehttp client over to the chain and
// shows what changes for its callers. More libraries, as diffs, are in
// examples/clients/moving.
//
//	go run ./examples/retryablehttp
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	shop := new(shop)
	server := httptest.NewServer(shop.handler())
	defer server.Close()

	fmt.Println("go-retryablehttp:")
	old := oldClient()
	visit(old.StandardClient(), server.URL, shop)

	fmt.Println("evenkeel, with the settings of that client:")
	chain, err := moved(old)
	if err != nil {
		return err
	}
	visit(&http.Client{Transport: chain}, server.URL, shop)

	fmt.Println("code that asks for a *retryablehttp.Client:")
	return legacy(transport.RetryableClient(chain), server.URL+"/flaky")
}

// oldClient is the client before the move.
func oldClient() *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax = 2
	c.RetryWaitMin = 10 * time.Millisecond
	c.RetryWaitMax = 50 * time.Millisecond
	c.HTTPClient.Timeout = time.Second
	return c
}

// moved returns the chain that replaces the client, with as many attempts and the
// same waits, CheckRetry, Backoff and hooks. Its error names each setting that a
// transport cannot keep.
func moved(c *retryablehttp.Client) (*transport.Transport, error) {
	opts, err := transport.FromClient(c)
	if err != nil {
		return nil, err
	}
	return transport.New(nil, opts...)
}

// legacy stands for a library that takes a client of that type.
func legacy(client *retryablehttp.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Printf("  GET /flaky   %s%s\n", resp.Status, attempts(resp))
	return nil
}

// visit makes three calls whose outcomes differ between the two clients.
func visit(client *http.Client, url string, s *shop) {
	before := s.orders.Load()
	// A write takes effect and then fails: a retry would repeat the effect.
	answer := call(client, http.MethodPost, url+"/orders", 10*time.Second)
	fmt.Printf("  POST /orders %s; orders made: %d\n", answer, s.orders.Load()-before)
	// A service is down: its last response says why.
	fmt.Printf("  GET /down    %s\n", call(client, http.MethodGet, url+"/down", 10*time.Second))
	// A server asks for a wait of an hour; the caller has half a second.
	fmt.Printf("  GET /busy    %s\n", call(client, http.MethodGet, url+"/busy", 500*time.Millisecond))
}

func call(client *http.Client, method, url string, patience time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return strings.ReplaceAll(err.Error(), url, "...")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s, %q%s", resp.Status, body, attempts(resp))
}

// attempts returns what the chain reports about a response, or "" for a response
// of another client.
func attempts(resp *http.Response) string {
	if c, ok := transport.CallOf(resp); ok {
		return fmt.Sprintf(" (attempts: %d, stopped by: %s)", c.Attempts, c.Stop)
	}
	return ""
}
