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

// A weather is what the backend is like for a while, and how much is asked of it.
type weather struct {
	name    string
	rate    int           // calls per second
	latency time.Duration // of an answer, on average
	failing float64       // the share of answers that are 500
	lasts   time.Duration
}

func (w weather) String() string {
	return fmt.Sprintf("%-8s %4d calls/s, %v, %3.0f%% failing, for %v", w.name, w.rate, w.latency, w.failing*100, w.lasts)
}

var forecast = []weather{
	{"calm", 100, 10 * time.Millisecond, 0, 30 * time.Second},
	{"showers", 100, 10 * time.Millisecond, 0.1, 30 * time.Second},
	{"down", 100, 10 * time.Millisecond, 1, 30 * time.Second},
	{"calm", 100, 10 * time.Millisecond, 0, 30 * time.Second},
	{"crowd", 400, 60 * time.Millisecond, 0, 30 * time.Second},
}

// backend is the handler of all services.
type backend struct{ now atomic.Pointer[weather] }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := b.now.Load()
	if now == nil {
		now = &forecast[0]
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

// load makes calls until ctx ends, then waits for those under way.
func (s *stack) load(ctx context.Context, changed func(weather)) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for i := 0; ctx.Err() == nil; i++ {
		now := &forecast[i%len(forecast)]
		s.backend.now.Store(now)
		changed(*now)
		s.phase(ctx, &calls, now)
	}
}

// phase makes calls at the rate of the weather, however long they take.
func (s *stack) phase(ctx context.Context, calls *sync.WaitGroup, now *weather) {
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

// call makes one call. What becomes of it is for the observers.
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
