// Retryablehttp moves an existing go-retryablehttp client over to the chain
// and shows what changes for its callers.
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

// oldClient is what a program may have today.
func oldClient() *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax = 2
	c.RetryWaitMin = 10 * time.Millisecond
	c.RetryWaitMax = 50 * time.Millisecond
	c.HTTPClient.Timeout = time.Second
	return c
}

// moved is the chain in its place: as many attempts, as long a wait, the same
// CheckRetry, Backoff and hooks. A setting that a transport cannot honour is an
// error that names it.
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

// visit makes three calls that the two answer differently.
func visit(client *http.Client, url string, s *shop) {
	before := s.orders.Load()
	// A write that fails after it was done: repeating it does it again.
	answer := call(client, http.MethodPost, url+"/orders", 10*time.Second)
	fmt.Printf("  POST /orders %s; orders made: %d\n", answer, s.orders.Load()-before)
	// A service that is down: its last answer says why.
	fmt.Printf("  GET /down    %s\n", call(client, http.MethodGet, url+"/down", 10*time.Second))
	// A server that asks for an hour's patience of a caller who has none.
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

// attempts says what the chain knows about a response. Other clients have
// nothing of the kind.
func attempts(resp *http.Response) string {
	if c, ok := transport.CallOf(resp); ok {
		return fmt.Sprintf(" (attempts: %d, stopped by: %s)", c.Attempts, c.Stop)
	}
	return ""
}
