package prommetrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// show prints the lines of a scrape that begin with a prefix.
func show(reg *prometheus.Registry, prefixes ...string) {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) && !strings.HasSuffix(line, " 0\n") {
				fmt.Print(line)
			}
		}
	}
}

func Example() {
	reg := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	metrics, err := prommetrics.New(reg)
	if err != nil {
		fmt.Println(err)
		return
	}

	wrap, err := middleware.New(middleware.WithConcurrency(100), middleware.WithObserver(metrics.Server()))
	if err != nil {
		fmt.Println(err)
		return
	}
	busy := true
	server := httptest.NewServer(wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if busy {
			busy = false
			w.WriteHeader(http.StatusBadGateway)
		}
	})))
	defer server.Close()

	circuits, err := breaker.New(breaker.WithObserver(metrics.Breaker()))
	if err != nil {
		fmt.Println(err)
		return
	}
	chain, err := transport.New(nil,
		transport.WithServiceName(func(*http.Request) string { return "users" }),
		transport.WithBreaker(circuits.Wrap),
		transport.WithObserver(metrics.Client()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics.Breakers(circuits.All)
	metrics.Budgets(chain.Budgets)

	client := &http.Client{Transport: chain}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	show(reg, "evenkeel_client_calls_total", "evenkeel_client_attempts_total", "evenkeel_client_retries_total",
		"evenkeel_breaker_state", "evenkeel_budget_withdrawals", "evenkeel_server_requests_total")
	// Output:
	// evenkeel_breaker_state{service="users",state="closed"} 1
	// evenkeel_budget_withdrawals_total{result="granted",service="users"} 1
	// evenkeel_client_attempts_total{attempt="1",result="server_error",service="users"} 1
	// evenkeel_client_attempts_total{attempt="2",result="success",service="users"} 1
	// evenkeel_client_calls_total{service="users",stop="succeeded"} 1
	// evenkeel_client_retries_total{reason="server_error",service="users"} 1
	// evenkeel_server_requests_total{result="server_error"} 1
	// evenkeel_server_requests_total{result="success"} 1
}

// The mistake is a service name that is made of the path: the first hundred
// users take all the series there are, and nothing is left for the services.
func ExampleNew_incorrect() {
	reg := prometheus.NewRegistry()
	metrics, _ := prommetrics.New(reg, prommetrics.WithMaxServices(2))
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	})
	chain, _ := transport.New(base,
		transport.WithServiceName(func(r *http.Request) string { return r.URL.Path }),
		transport.WithObserver(metrics.Client()),
	)
	client := &http.Client{Transport: chain}
	for id := range 10 {
		resp, err := client.Get(fmt.Sprintf("http://api.test/users/%d", id))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	show(reg, "evenkeel_client_calls_total")
	// Output:
	// evenkeel_client_calls_total{service="(other services)",stop="succeeded"} 8
	// evenkeel_client_calls_total{service="/users/0",stop="succeeded"} 1
	// evenkeel_client_calls_total{service="/users/1",stop="succeeded"} 1
}
