// Chain shows how retries multiply along a chain of services. A client calls the
// front, the front calls the middle, the middle calls the store, and the store is
// down. If each makes three attempts, a call of the client becomes 27 requests at
// the store. With evenkeel only the middle, which is next to the failure, retries,
// within a budget. Its response tells the others that a retry would not help.
//
//	go run ./examples/chain
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
)

const calls = 100

func main() {
	for _, c := range []struct {
		name  string
		chain func() (*chain, error)
	}{
		{"each on its own", onItsOwn},
		{"with evenkeel  ", together},
	} {
		got, err := measure(c.chain)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d calls became %d requests at the store, %.1f for each\n", c.name, calls, got, float64(got)/calls)
	}
}

// measure makes the calls and returns how many requests the store got.
func measure(build func() (*chain, error)) (int64, error) {
	c, err := build()
	if err != nil {
		return 0, err
	}
	defer c.close()
	for range calls {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		resp, err := get(ctx, c.client, c.front)
		cancel()
		if err != nil {
			return 0, err
		}
		if resp.StatusCode < 500 {
			return 0, fmt.Errorf("got status %d, want 500 or above: the store is down", resp.StatusCode)
		}
	}
	return c.requests.Load(), nil
}

// chain is three servers on the loopback interface.
type chain struct {
	client   *http.Client
	front    string        // its URL
	requests *atomic.Int64 // at the store
	servers  []*http.Server
}

// newChain starts the servers. Each makes its calls with a client of its own.
func newChain(wrap func(http.Handler) http.Handler, client func() (*http.Client, error)) (*chain, error) {
	c := &chain{requests: new(atomic.Int64)}
	store := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		http.Error(w, "the store is down", http.StatusInternalServerError)
	})
	next, err := c.serve(wrap(store))
	for range 2 { // the middle and the front
		var cl *http.Client
		if err == nil {
			cl, err = client()
		}
		if err == nil {
			next, err = c.serve(wrap(proxy(cl, next)))
		}
	}
	if err == nil {
		c.client, err = client()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	c.front = next
	return c, nil
}

// proxy passes on the status of the next server.
func proxy(client *http.Client, next string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The context of the inbound request links the calls to it.
		resp, err := get(r.Context(), client, next)
		if err != nil {
			http.Error(w, "no answer", http.StatusBadGateway)
			return
		}
		w.WriteHeader(resp.StatusCode)
	})
}

func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

func (c *chain) serve(h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	c.servers = append(c.servers, srv)
	go srv.Serve(l)
	return "http://" + l.Addr().String(), nil
}

func (c *chain) close() {
	for _, srv := range c.servers {
		srv.Close()
	}
}

// together uses evenkeel at both ends of every hop.
func together() (*chain, error) {
	wrap, err := middleware.New(
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
	)
	if err != nil {
		return nil, err
	}
	return newChain(wrap, func() (*http.Client, error) {
		t, err := transport.New(nil, transport.WithPolicy(transport.Policy{
			MaxAttempts: 3,
			BaseDelay:   time.Millisecond, // to keep the example short
		}))
		return &http.Client{Transport: t}, err
	})
}

// onItsOwn has a plain retry loop around every call.
func onItsOwn() (*chain, error) {
	none := func(next http.Handler) http.Handler { return next }
	return newChain(none, func() (*http.Client, error) {
		return &http.Client{Transport: threeTimes{http.DefaultTransport}}, nil
	})
}

type threeTimes struct{ next http.RoundTripper }

func (t threeTimes) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if attempt == 3 || err == nil && resp.StatusCode < 500 {
			return resp, err
		}
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		time.Sleep(time.Millisecond)
	}
}
