package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A phase is a time in which the load and the state of the backend do not change.
type phase struct {
	name    string
	rate    int           // calls per second
	latency time.Duration // of a response, on average
	failing float64       // the share of responses that are 500
	lasts   time.Duration
}

func (p phase) String() string {
	return fmt.Sprintf("%-8s %4d calls/s, %v, %3.0f%% failing, for %v", p.name, p.rate, p.latency, p.failing*100, p.lasts)
}

var phases = []phase{
	{"calm", 100, 10 * time.Millisecond, 0, 30 * time.Second},
	{"errors", 100, 10 * time.Millisecond, 0.1, 30 * time.Second},
	{"outage", 100, 10 * time.Millisecond, 1, 30 * time.Second},
	{"calm", 100, 10 * time.Millisecond, 0, 30 * time.Second},
	{"overload", 400, 60 * time.Millisecond, 0, 30 * time.Second},
}

// backend is the handler of all services.
type backend struct{ now atomic.Pointer[phase] }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := b.now.Load()
	if now == nil {
		now = &phases[0]
	}
	select {
	case <-time.After(time.Duration(rand.ExpFloat64() * float64(now.latency))):
	case <-r.Context().Done():
		return
	}
	if rand.Float64() < now.failing {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	io.WriteString(w, "hello\n")
}

// load makes calls until ctx is done, then waits for those under way.
func (s *stack) load(ctx context.Context, changed func(phase)) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for i := 0; ctx.Err() == nil; i++ {
		now := &phases[i%len(phases)]
		s.backend.now.Store(now)
		changed(*now)
		s.play(ctx, &calls, now)
	}
}

// play makes calls at the rate of the phase, however long they take.
func (s *stack) play(ctx context.Context, calls *sync.WaitGroup, now *phase) {
	over := time.NewTimer(now.lasts)
	defer over.Stop()
	tick := time.NewTicker(time.Second / time.Duration(now.rate))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			calls.Go(func() { s.call(ctx) })
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// call makes one call. The observers record its outcome.
func (s *stack) call(ctx context.Context) {
	url := fmt.Sprintf("%s/%s/%d", s.url, services[rand.N(len(services))], rand.N(1000))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
