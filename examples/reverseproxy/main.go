// Reverseproxy puts the chain under httputil.ReverseProxy: requests and
// WebSocket handshakes that the backend fails are sent again, writes that are
// not safe to repeat are not, and an upgraded connection passes through.
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

// newProxy returns a proxy in front of one backend. A request body is replayed
// if it is no longer than MaxReplayBytes; it is never read ahead.
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
	// What the proxy itself has no room for it refuses. A WebSocket counts as
	// long as it is open, so that it must not have a deadline by default.
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
			// What the client says of its time may pass: the chain tells the
			// backend at each attempt what is left of it.
		},
		ErrorHandler: fail,
	}), nil
}

// fail answers for a backend from which no response came. One that came is
// passed on as it is, whatever its status.
func fail(w http.ResponseWriter, _ *http.Request, err error) {
	var open *breaker.OpenError
	var network net.Error
	switch {
	case errors.As(err, &open): // nothing was sent
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
