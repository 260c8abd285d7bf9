package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A queue computes when each request will have been served: by a number of
// workers, first come, first served, with random service times. The times are
// computed in advance. A busy machine that wakes the workers late answers late,
// but loses no capacity.
type queue struct {
	mean              time.Duration // of the exponential service time
	stalled, recovers time.Time     // no request is started in between

	mu   sync.Mutex
	free [workerCount]time.Time
	rng  *rand.Rand
}

func newQueue(cfg config, start time.Time) *queue {
	return &queue{
		mean:     cfg.meanService(),
		stalled:  start.Add(cfg.calm),
		recovers: start.Add(cfg.calm + cfg.stall),
		rng:      rand.New(rand.NewPCG(cfg.seed, 1<<63)), // the same for every policy
	}
}

func (q *queue) work(_ context.Context, closing <-chan struct{}) (status int) {
	if !until(q.enter(time.Now()), closing) {
		return 0
	}
	return http.StatusOK
}

// enter returns when a request that comes now will have been served.
func (q *queue) enter(now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := 0
	for i := range q.free {
		if q.free[i].Before(q.free[next]) {
			next = i
		}
	}
	begin := now
	if q.free[next].After(begin) {
		begin = q.free[next]
	}
	if !begin.Before(q.stalled) && begin.Before(q.recovers) {
		begin = q.recovers
	}
	q.free[next] = begin.Add(time.Duration(q.rng.ExpFloat64() * float64(q.mean)))
	return q.free[next]
}
