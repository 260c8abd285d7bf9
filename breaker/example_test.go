package breaker_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/datapunk/evenkeel/breaker"
)

func Example() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()

	circuits, err := breaker.New(
		breaker.WithServiceName(func(*http.Request) string { return "users" }),
		breaker.WithTripRatio(0.5, 3),
		breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			fmt.Println(c.Service, "is", c.To, "for", c.OpenFor)
		}}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	for range 4 {
		resp, err := client.Get(down.URL)
		if errors.Is(err, breaker.ErrOpen) {
			fmt.Println("refused")
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 500 Internal Server Error
	// 500 Internal Server Error
	// users is open for 100ms
	// 500 Internal Server Error
	// refused
}

// The mistake is a set per client or per request: each has to learn anew that
// the service is down. Make one set and wrap all transports with it.
func ExampleNew_incorrect() {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer down.Close()
	sent := 0
	for range 4 {
		circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 3))
		client := &http.Client{Transport: circuits.Wrap(nil)}
		if resp, err := client.Get(down.URL); err == nil {
			resp.Body.Close()
			sent++
		}
	}
	fmt.Println(sent, "of 4 calls were sent to a service that is down")
	// Output:
	// 4 of 4 calls were sent to a service that is down
}

// A setting changes while the program runs, for one service, and back.
func ExampleSet_Configure() {
	circuits, err := breaker.New(breaker.WithTripRatio(0.5, 3))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(refusing{})}
	get := func() {
		if resp, err := client.Get("http://users.test/"); err == nil {
			resp.Body.Close()
		}
	}
	fmt.Println(circuits.Configure("users.test", breaker.WithTripRatio(0.5, 5)))
	fmt.Println(circuits.Configure("users.test", breaker.WithProbes(0)))
	for range 4 {
		get()
	}
	fmt.Println(circuits.State("users.test"))
	circuits.Configure("users.test") // it has none of its own any more
	get()
	fmt.Println(circuits.State("users.test"))
	// Output:
	// <nil>
	// breaker: Configure("users.test"): WithProbes(0): want at least 1 and at most 1000
	// closed
	// open
}
