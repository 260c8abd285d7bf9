package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// workers is how many requests a backend serves at a time. Its capacity is set
// by how long they take over each.
const workers = 5

// A queue says when a backend is done with each request: it has some workers,
// serves first come, first served, and takes a random time over each request.
// The times are reckoned ahead, so that a machine which wakes the workers late
// answers late, but has no less capacity for it.
type queue struct {
	mean              time.Duration // of the exponential service time
	stalled, recovers time.Time     // nothing is begun in between

	mu   sync.Mutex
	free [workers]time.Time
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
