package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A backend serves what its queue lets it. It is as naive as most: it serves a
// request also if its client has gone.
type backend struct {
	queue   *queue
	closing chan struct{}
	server  *http.Server
	url     string
	served  sync.WaitGroup // Serve
}

// startBackend serves on a free port of the loopback.
func startBackend(q *queue, wrap func(http.Handler) http.Handler) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{queue: q, closing: make(chan struct{}), url: "http://" + listener.Addr().String()}
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

func (b *backend) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if until(b.queue.enter(time.Now()), b.closing) {
		io.WriteString(w, "done\n")
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
