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

// A backend serves what its works let it. It is as naive as most: it serves a
// request also if its client has gone.
type backend struct {
	works   works
	closing chan struct{}
	server  *http.Server
	host    string         // with the port: the name of the service
	served  sync.WaitGroup // Serve
}

// works have a fixed number of workers, who serve first come, first served: a
// queue where the whole run is known ahead, a floor where somebody looks on
// and acts.
type works interface {
	// work returns the status once a request has been served, or 0 if it has
	// not when ctx ends or closing is closed.
	work(ctx context.Context, closing <-chan struct{}) (status int)
}

// workers is how many requests a backend serves at a time. Its capacity is set
// by how long they take over each.
const workers = 5

// startBackend serves on a free port of the loopback.
func startBackend(works works, wrap func(http.Handler) http.Handler) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{works: works, closing: make(chan struct{}), host: listener.Addr().String()}
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
	switch status := b.works.work(req.Context(), b.closing); status {
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

// until waits for a time and reports false if stop came first.
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
