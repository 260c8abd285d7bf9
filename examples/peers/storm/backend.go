package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A backend is a service with a fixed number of workers and one queue, first
// come, first served. It does the work of every request, also of one whose
// client has gone, as a server does that does not look.
//
// Its capacity is exact whatever the machine does: a worker that is woken late
// begins where it should have begun, so that lateness delays answers but does
// not add up.
type backend struct {
	work    func(*rand.Rand) time.Duration
	more    sync.Cond
	staff   sync.WaitGroup
	workers int

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	queue  []job
	closed bool
	now    state
	back   time.Time // when now was last changed
	late   time.Duration
}

// A state is what a fault changes of a backend.
type state struct {
	alive  int     // workers that take jobs; those that have one finish it
	factor float64 // of the time that work takes
	flaws
	extra   func(*rand.Rand) time.Duration // by which answers are late, without keeping a worker busy
	refuses error                          // what a client gets instead of a connection
	failing time.Duration                  // how long a request takes that fails
}

type job struct {
	came time.Time
	done chan struct{}
}

// flaws are what goes wrong with a request whatever the load is, as shares of
// the requests.
type flaws struct {
	fail float64 // answered with 500 at once
	hang float64 // never answered
	slow float64 // answered later by slowBy, without keeping a worker busy
}

const slowBy = 300 * time.Millisecond

func newBackend(workers int, work func(*rand.Rand) time.Duration, f flaws, seed uint64) *backend {
	b := &backend{work: work, workers: workers, now: state{alive: workers, factor: 1, flaws: f}, random: rand.New(rand.NewPCG(seed, 1))}
	b.more.L = &b.mu
	for i := range workers {
		b.staff.Go(func() { b.worker(i) })
	}
	return b
}

func (b *backend) worker(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var free time.Time // when this worker was done, or should have been
	for {
		away := false
		for (len(b.queue) == 0 || i >= b.now.alive) && !b.closed {
			away = away || i >= b.now.alive
			b.more.Wait()
		}
		if b.closed {
			return
		}
		if away {
			free = b.back // there is no work to be done in arrears
		}
		j := b.queue[0]
		b.queue = b.queue[1:]
		free = latest(free, j.came).Add(time.Duration(float64(b.work(b.random)) * b.now.factor))
		b.mu.Unlock()
		time.Sleep(time.Until(free))
		close(j.done)
		late := time.Since(free)
		b.mu.Lock()
		b.late = max(b.late, late)
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	x, more := b.random.Float64(), time.Duration(0)
	if b.random.Float64() < b.now.slow {
		more = slowBy
	}
	switch f := b.now.flaws; {
	case x < f.fail:
		after := b.now.failing
		b.mu.Unlock()
		time.Sleep(after)
		http.Error(w, "failed", http.StatusInternalServerError)
		return
	case x < f.fail+f.hang:
		b.mu.Unlock()
		<-r.Context().Done()
		return
	}
	if b.closed {
		b.mu.Unlock()
		return
	}
	if b.now.extra != nil {
		more += b.now.extra(b.random)
	}
	j := job{time.Now(), make(chan struct{})}
	b.queue = append(b.queue, j)
	wake := b.more.Signal
	if b.now.alive < b.workers { // or it might wake a worker who is not alive
		wake = b.more.Broadcast
	}
	b.mu.Unlock()
	wake()
	<-j.done
	time.Sleep(more)
	io.WriteString(w, "done\n")
}

// change has a fault begin or end.
func (b *backend) change(c change) {
	b.mu.Lock()
	c(&b.now)
	b.back = time.Now()
	b.mu.Unlock()
	b.more.Broadcast()
}

// refusal is what a client gets instead of a connection, or nil.
func (b *backend) refusal() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now.refuses
}

func (b *backend) close() {
	b.mu.Lock()
	b.closed = true
	for _, j := range b.queue {
		close(j.done)
	}
	b.queue = nil
	b.mu.Unlock()
	b.more.Broadcast()
	b.staff.Wait()
}

// The shapes of the time that work takes, all with the given mean.

func exponential(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
}

// bimodal work is half the mean nine times of ten, and else eleven times as
// long.
func bimodal(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		if r.IntN(10) == 0 {
			return mean * 55 / 10
		}
		return mean / 2
	}
}
