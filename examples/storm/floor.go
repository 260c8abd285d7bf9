package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A floor is where workers serve whose health may change at any time.
type floor struct {
	slots   chan struct{} // one per worker; Go serves blocked senders in order
	backlog chan struct{} // one per request that is here; nil: no bound
	mean    time.Duration // of the exponential service time
	health  func(time.Time) health

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

// newFloor returns a floor that asks for its health whenever a worker takes up
// a request.
func newFloor(cfg config, health func(time.Time) health) *floor {
	return &floor{
		slots:   make(chan struct{}, workers),
		backlog: cfg.backlog(),
		mean:    cfg.meanService(),
		health:  health,
		rng:     rand.New(rand.NewPCG(cfg.seed, 1<<63)),
	}
}

func (f *floor) work(ctx context.Context, closing <-chan struct{}) (status int) {
	if f.backlog != nil {
		select {
		case f.backlog <- struct{}{}:
			defer func() { <-f.backlog }()
		default: // it is not heard, as if the kernel's queue were full
			select {
			case <-ctx.Done():
			case <-closing:
			}
			return 0
		}
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-closing:
		return 0
	}
	h := f.health(time.Now())
	for h.stall > 0 {
		if !pause(h.stall, h.changed, closing) {
			return 0
		}
		h = f.health(time.Now())
	}
	if h.broken {
		return http.StatusInternalServerError
	}
	if !pause(f.service(h.slow), nil, closing) {
		return 0
	}
	return http.StatusOK
}

func (f *floor) service(slow float64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(f.rng.ExpFloat64() * float64(f.mean) * max(slow, 1))
}

// pause ends early when changed is closed. It reports false if stop comes
// first.
func pause(d time.Duration, changed, stop <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
		return true
	case <-stop:
		return false
	}
}
