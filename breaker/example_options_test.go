package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// Two services behind one gateway: the failures of one do not open the circuit
// of the other.
func ExampleWithServiceName() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer gateway.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(req *http.Request) string { return req.URL.Path[1:] }),
		breaker.WithTripRatio(0.5, 1),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for _, path := range []string{"/orders", "/users"} {
		resp, err := client.Get(gateway.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	fmt.Println("orders:", circuits.State("orders"))
	fmt.Println("users:", circuits.State("users"))
	// Output:
	// orders: open
	// users: closed
}

// A circuit opens when a quarter of at least four calls failed.
func ExampleWithTripRatio() {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 4 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.25, 4),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for range 4 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode, circuits.State("users"))
	}
	// Output:
	// 200 closed
	// 200 closed
	// 200 closed
	// 500 open
}

// Failures that are further apart than the window do not count together.
func ExampleWithWindow() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	for _, window := range []time.Duration{10 * time.Nanosecond, time.Minute} {
		circuits, err := breaker.New(
			breaker.WithServiceName(func(*http.Request) string { return "users" }),
			breaker.WithTripRatio(0.5, 2),
			breaker.WithWindow(window),
		)
		if err != nil {
			fmt.Println(err)
			return
		}
		client := &http.Client{Transport: circuits.Wrap(nil)}
		for range 2 {
			resp, err := client.Get(down.URL)
			if err != nil {
				fmt.Println(err)
				return
			}
			resp.Body.Close()
		}
		fmt.Println(window, circuits.State("users"))
	}
	// Output:
	// 10ns closed
	// 1m0s open
}

func ExampleWithOpenFor() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	circuits, err := breaker.New(
		breaker.WithTripRatio(0.5, 1),
		breaker.WithOpenFor(2*time.Second),
		breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			fmt.Println(c.To, "for", c.OpenFor)
		}}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	resp, err := client.Get(down.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// open for 2s
}

// The circuit closes after two calls that succeed.
func ExampleWithProbes() {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.5, 1),
		breaker.WithOpenFor(1), // a nanosecond, for the example
		breaker.WithProbes(2),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for range 3 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode, circuits.State("users"))
	}
	// Output:
	// 500 half-open
	// 200 half-open
	// 200 closed
}

// Calls that take longer than a nanosecond are slow, and one slow call opens the
// circuit. A program would choose one second and a ratio of 0.8, for example.
func ExampleWithSlowCall() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.5, 1),
		breaker.WithSlowCall(time.Nanosecond, 1),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, circuits.State("users"))
	// Output:
	// 200 open
}

// Only errors are failures, whatever the status of a response.
func ExampleWithFailureIf() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.5, 1),
		breaker.WithFailureIf(func(resp *http.Response, err error) bool { return err != nil }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, circuits.State("users"))
	// Output:
	// 500 closed
}

// There is room for one circuit. Calls of the second service pass and are not
// judged.
func ExampleWithMaxServices() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(req *http.Request) string { return req.URL.Path[1:] }),
		breaker.WithTripRatio(0.5, 1),
		breaker.WithMaxServices(1),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for _, path := range []string{"/users", "/orders"} {
		resp, err := client.Get(down.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	for service, state := range circuits.All() {
		fmt.Println(service, "is", state)
	}
	// Output:
	// users is open
}

func ExampleWithObserver() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.5, 1),
		breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			fmt.Println(c.Service, "from", c.From, "to", c.To)
		}}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	resp, err := client.Get(down.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// users from closed to open
}

// The error of a call that was refused says when to try again.
func ExampleOpenError() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	circuits, err := breaker.New(breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for range 2 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, down.URL, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := client.Do(req)
		if open, ok := errors.AsType[*breaker.OpenError](err); ok {
			fmt.Println("refused; try again in", open.RetryIn.Round(time.Hour))
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 500
	// refused; try again in 1h0m0s
}
