package main

import (
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// A backend serves as many requests at a time as it has workers, in the order
// in which they came, each for a random time. It is as naive as most: it
// serves a request also if its client has gone.
type backend struct {
	slots   chan struct{} // one per worker; Go serves blocked senders in order
	mean    time.Duration // of the exponential service time
	health  func(time.Time) health
	backlog chan struct{} // one per request that is here; nil: no bound
	closing chan struct{}
	server  *http.Server
	host    string         // with the port: the name of the service
	served  sync.WaitGroup // Serve

	mu  sync.Mutex
	rng *rand.Rand // service times, the same sequence for every policy
}

// health is how a backend fares at a time. The zero value is well.
type health struct {
	stall   time.Duration   // it serves nothing for so long
	changed <-chan struct{} // closed if the stall ends early; nil: it does not
	slow    float64         // it takes so many times as long; 0 means 1
	broken  bool            // it answers 500, and at once
}

// startBackend serves on a free port of the loopback. It asks for its health
// whenever a worker takes up a request.
func startBackend(cfg config, wrap func(http.Handler) http.Handler, health func(time.Time) health) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		backlog: cfg.backlog(),
		slots:   make(chan struct{}, workers),
		mean:    cfg.meanService(),
		health:  health,
		closing: make(chan struct{}),
		host:    listener.Addr().String(),
		rng:     rand.New(rand.NewPCG(cfg.seed, 1<<63)),
	}
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
	if b.backlog != nil {
		select {
		case b.backlog <- struct{}{}:
			defer func() { <-b.backlog }()
		default: // it is not heard, as if the kernel's queue were full
			select {
			case <-req.Context().Done():
			case <-b.closing:
			}
			return
		}
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-b.closing:
		return
	}
	h := b.health(time.Now())
	for h.stall > 0 {
		if !b.pause(h.stall, h.changed) {
			return
		}
		h = b.health(time.Now())
	}
	if h.broken {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if b.pause(b.service(h.slow), nil) {
		io.WriteString(w, "done\n")
	}
}

func (b *backend) service(slow float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(b.rng.ExpFloat64() * float64(b.mean) * max(slow, 1))
}

// pause ends early when changed is closed. It reports false if the backend is
// closed meanwhile.
func (b *backend) pause(d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
		return true
	case <-b.closing:
		return false
	}
}

// close ends the requests that are still queued, and the server.
func (b *backend) close() {
	close(b.closing)
	b.server.Close()
	b.served.Wait()
}
