// Package moving_test holds the code of README.md: for each library a client as
// it was and as it is afterwards, and an Example that shows what changes.
package moving_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// A shop is a server that fails in the ways in which retries differ.
type shop struct {
	*httptest.Server
	orders atomic.Int64
	flaky  atomic.Int64
}

func newShop() *shop {
	s := &shop{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /flaky", func(w http.ResponseWriter, _ *http.Request) {
		if s.flaky.Add(1)%2 == 1 {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "hello")
	})
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "closed", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "in an hour", http.StatusTooManyRequests)
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		s.orders.Add(1) // the order is made, only the answer is lost
		http.Error(w, "lost", http.StatusBadGateway)
	})
	s.Server = httptest.NewServer(mux)
	return s
}

// A doer is an http.Client, or what a library has in its place.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// visit prints what the client makes of each route.
func (s *shop) visit(when string, client doer) {
	fmt.Printf("%s:\n", when)
	for _, route := range []string{"GET /flaky", "GET /down", "GET /busy", "POST /orders"} {
		before := s.orders.Load()
		outcome := s.call(client, route)
		if made := s.orders.Load() - before; made > 0 {
			outcome += fmt.Sprintf(", orders made: %d", made)
		}
		fmt.Printf("  %s: %s\n", route, outcome)
	}
}

func (s *shop) call(client doer, route string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	method, path, _ := strings.Cut(route, " ")
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(""))
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), ". last result: ") // what follows has addresses in it
		return strings.ReplaceAll(text, s.URL, "...")
	}
	resp.Body.Close()
	return resp.Status
}

// must is for the set-up of an Example.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
