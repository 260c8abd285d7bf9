package moving_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/sony/gobreaker/v2"
)

func gobreakerBefore() func(url string) (*http.Response, error) {
	// README: gobreaker before
	circuit := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
		Name:        "users",
		MaxRequests: 1,
		Interval:    10 * time.Second,
		Timeout:     5 * time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= 20 && float64(c.TotalFailures) >= 0.5*float64(c.Requests)
		},
	})
	get := func(url string) (*http.Response, error) {
		return circuit.Execute(func() (*http.Response, error) {
			resp, err := http.Get(url)
			if err == nil && resp.StatusCode >= 500 {
				resp.Body.Close()
				return nil, errors.New(resp.Status)
			}
			return resp, err
		})
	}
	// README: end
	return get
}

func gobreakerAfter() (func(url string) (*http.Response, error), error) {
	// README: gobreaker after
	circuits, err := breaker.New(
		breaker.WithProbes(1),
		breaker.WithWindow(10*time.Second),
		breaker.WithOpenFor(5*time.Second),
		breaker.WithTripRatio(0.5, 20),
	)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	get := client.Get
	// README: end
	return get, nil
}

func Example_gobreaker() {
	// Requests to the dead service open its circuit. Is the other service still called?
	dead := newShop()
	defer dead.Close()
	well := newShop()
	defer well.Close()
	well.flaky.Store(1) // the next answer is a success
	for _, c := range []struct {
		when string
		get  func(url string) (*http.Response, error)
	}{{"before", gobreakerBefore()}, {"after", must(gobreakerAfter())}} {
		var first string
		for range 25 {
			outcome := shown(c.get(dead.URL + "/down"))
			if first == "" {
				first = outcome
			}
		}
		fmt.Printf("%s:\n  the first call: %s\n  after 25 calls: %s\n", c.when, first, open(c.get(dead.URL+"/down")))
		fmt.Printf("  another service: %s\n", open(c.get(well.URL+"/flaky")))
		well.flaky.Store(1)
	}
	// Output:
	// before:
	//   the first call: error 503 Service Unavailable
	//   after 25 calls: refused
	//   another service: refused
	// after:
	//   the first call: 503 Service Unavailable
	//   after 25 calls: refused
	//   another service: 200 OK
}

func shown(resp *http.Response, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	resp.Body.Close()
	return resp.Status
}

// open says if a circuit refused the call.
func open(resp *http.Response, err error) string {
	if errors.Is(err, breaker.ErrOpen) || errors.Is(err, gobreaker.ErrOpenState) {
		return "refused"
	}
	return shown(resp, err)
}
