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
	stalled func(time.Time) time.Duration
	closing chan struct{}
	server  *http.Server
	url     string
	served  sync.WaitGroup // Serve

	mu  sync.Mutex
	rng *rand.Rand // service times, the same sequence for every policy
}

// startBackend serves on a free port of the loopback. The stall begins and
// ends by the clock: stalled returns how long it still is.
func startBackend(cfg config, wrap func(http.Handler) http.Handler, stalled func(time.Time) time.Duration) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		slots:   make(chan struct{}, workers),
		mean:    cfg.meanService(),
		stalled: stalled,
		closing: make(chan struct{}),
		url:     "http://" + listener.Addr().String(),
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

func (b *backend) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-b.closing:
		return
	}
	if b.pause(b.stalled(time.Now())) && b.pause(b.service()) {
		io.WriteString(w, "done\n")
	}
}

func (b *backend) service() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(b.rng.ExpFloat64() * float64(b.mean))
}

// pause reports false if the backend is closed meanwhile.
func (b *backend) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
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
