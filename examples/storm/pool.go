package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A pool has workers whose health may change at any time.
type pool struct {
	slots   chan struct{} // one per worker; Go serves blocked senders in order
	backlog chan struct{} // one per request in the pool; nil: no bound
	mean    time.Duration // of the exponential service time
	health  func(time.Time) health

	mu  sync.Mutex
	rng *rand.Rand // service times, the same sequence for every policy
}

// health is the state of a backend at one moment. The zero value is well.
type health struct {
	stall   time.Duration   // how long it will serve nothing
	changed <-chan struct{} // closed if the stall ends early; nil: it does not
	slow    float64         // factor on the service time; 0 means 1
	later   time.Duration   // added to each answer, while the worker serves the next request
	broken  bool            // it answers 500 at once
}

// newPool returns a pool that asks for its health whenever a worker starts a
// request.
func newPool(cfg config, health func(time.Time) health) *pool {
	return &pool{
		slots:   make(chan struct{}, workerCount),
		backlog: cfg.backlog(),
		mean:    cfg.meanService(),
		health:  health,
		rng:     rand.New(rand.NewPCG(cfg.seed, 1<<63)),
	}
}

func (p *pool) work(ctx context.Context, closing <-chan struct{}) (status int) {
	if p.backlog != nil {
		select {
		case p.backlog <- struct{}{}:
			defer func() { <-p.backlog }()
		default: // it gets no answer, as if the kernel's queue were full
			select {
			case <-ctx.Done():
			case <-closing:
			}
			return 0
		}
	}
	status, later := p.serve(closing)
	if later > 0 && !pause(later, nil, closing) {
		return 0
	}
	return status
}

// serve returns the status, and by how much later the answer is to come.
func (p *pool) serve(closing <-chan struct{}) (status int, later time.Duration) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-closing:
		return 0, 0
	}
	h := p.health(time.Now())
	for h.stall > 0 {
		if !pause(h.stall, h.changed, closing) {
			return 0, 0
		}
		h = p.health(time.Now())
	}
	if h.broken {
		return http.StatusInternalServerError, 0
	}
	if !pause(p.service(h.slow), nil, closing) {
		return 0, 0
	}
	return http.StatusOK, h.later
}

func (p *pool) service(slow float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(p.rng.ExpFloat64() * float64(p.mean) * max(slow, 1))
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
