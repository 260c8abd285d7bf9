package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A backend answers once its workers have served the request. Like most servers,
// it goes on with a request whose client has disconnected.
type backend struct {
	workers workers
	closing chan struct{}
	server  *http.Server
	host    string         // with the port: the name of the service
	served  sync.WaitGroup // Serve
}

// workers serve first come, first served. In a queue the whole run is known
// beforehand; in a pool the health of the backend may change at any time.
type workers interface {
	// work returns the status when the request has been served, or 0 if ctx
	// ended or closing was closed before that.
	work(ctx context.Context, closing <-chan struct{}) (status int)
}

// workerCount is how many requests a backend serves at a time. The time that
// each takes sets its capacity.
const workerCount = 5

// startBackend serves on a free port of the loopback interface.
func startBackend(w workers, wrap func(http.Handler) http.Handler) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{workers: w, closing: make(chan struct{}), host: listener.Addr().String()}
	var handler http.Handler = b
	if wrap != nil {
		handler = wrap(b)
	}
	b.server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	b.served.Go(func() {
		if err := b.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Printf("storm: %v", err)
		}
	})
	return b, nil
}

func (b *backend) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch status := b.workers.work(req.Context(), b.closing); status {
	case 0:
	case http.StatusOK:
		io.WriteString(w, "done\n")
	default:
		http.Error(w, http.StatusText(status), status)
	}
}

// close ends the requests that are still queued, and the server.
func (b *backend) close() {
	close(b.closing)
	b.server.Close()
	b.served.Wait()
}

// until waits until t and reports false if stop came first.
func until(t time.Time, stop <-chan struct{}) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}
