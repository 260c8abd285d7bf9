// Reverseproxy puts the chain under httputil.ReverseProxy. It retries requests
// and WebSocket handshakes that the backend fails, but not writes that are not
// safe to repeat. Upgraded connections pass through.
//
//	go run ./examples/reverseproxy
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	backend, err := serve(newBackend())
	if err != nil {
		return err
	}
	defer backend.Close()
	handler, err := newProxy(backend.URL)
	if err != nil {
		return err
	}
	proxy, err := serve(handler)
	if err != nil {
		return err
	}
	defer proxy.Close()
	return visit(proxy.URL)
}

// newProxy returns a proxy in front of one backend. A request body can be sent
// again if it is no longer than MaxReplayBytes. It is never read ahead.
func newProxy(backend *url.URL) (http.Handler, error) {
	circuits, err := breaker.New()
	if err != nil {
		return nil, err
	}
	chain, err := transport.New(http.DefaultTransport,
		transport.WithServiceName(func(*http.Request) string { return "backend" }),
		transport.WithPolicy(transport.Policy{AttemptTimeout: 5 * time.Second}),
		transport.WithBreaker(circuits.Wrap),
		transport.WithObserver(transport.Observer{OnCall: report}),
	)
	if err != nil {
		return nil, err
	}
	// The proxy refuses requests above its own limit. Deadlines has no Max,
	// which would cut WebSockets and streams.
	wrap, err := middleware.New(
		middleware.WithConcurrency(1000),
		middleware.WithDeadlines(middleware.Deadlines{}),
	)
	if err != nil {
		return nil, err
	}
	return wrap(&httputil.ReverseProxy{
		Transport: chain,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backend)
			r.SetXForwarded()
			// The client's deadline headers stay: the chain lowers them at each
			// attempt to the time that is left.
		},
		ErrorHandler: fail,
	}), nil
}

// fail answers if no response came from the backend. The proxy passes on a
// response whatever its status is.
func fail(w http.ResponseWriter, _ *http.Request, err error) {
	var open *breaker.OpenError
	var network net.Error
	switch {
	case errors.As(err, &open): // the request was not sent
		headers.SetVerdict(w.Header(), headers.Retry)
		headers.SetRetryAfter(w.Header(), open.RetryIn)
		w.WriteHeader(http.StatusServiceUnavailable)
	case errors.As(err, &network) && network.Timeout():
		w.WriteHeader(http.StatusGatewayTimeout)
	default:
		w.WriteHeader(http.StatusBadGateway)
	}
}

func report(_ context.Context, c transport.Call) {
	fmt.Printf("proxy: %s, attempts: %d, stopped by: %s\n", c.Method, c.Attempts, c.Stop)
}
