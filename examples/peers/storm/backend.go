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
	work  func(*rand.Rand) time.Duration
	flaws flaws
	more  sync.Cond
	staff sync.WaitGroup

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	queue  []job
	closed bool
	alive  int       // workers that take jobs
	back   time.Time // when alive was last changed
	until  time.Time // no work is done before
	factor float64   // of the time that work takes
	begun  int       // requests that came
	late   time.Duration
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
	b := &backend{work: work, flaws: f, alive: workers, factor: 1, random: rand.New(rand.NewPCG(seed, 1))}
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
		for (len(b.queue) == 0 || i >= b.alive) && !b.closed {
			away = away || i >= b.alive
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
		free = latest(free, j.came, b.until).Add(time.Duration(float64(b.work(b.random)) * b.factor))
		b.mu.Unlock()
		time.Sleep(time.Until(free))
		close(j.done)
		late := time.Since(free)
		b.mu.Lock()
		b.late = max(b.late, late)
	}
}

func latest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.begun++
	x, slow := b.random.Float64(), b.random.Float64() < b.flaws.slow
	switch f := b.flaws; {
	case x < f.fail:
		b.mu.Unlock()
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
	j := job{time.Now(), make(chan struct{})}
	b.queue = append(b.queue, j)
	b.mu.Unlock()
	b.more.Broadcast() // not Signal: that might wake a worker who is not alive
	<-j.done
	if slow {
		time.Sleep(slowBy)
	}
	io.WriteString(w, "done\n")
}

// stall lets no work be begun until d has passed.
func (b *backend) stall(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(d)
}

// set changes how many workers take jobs and how long the work takes them.
func (b *backend) set(alive int, factor float64) {
	b.mu.Lock()
	b.alive, b.factor, b.back = alive, factor, time.Now()
	b.mu.Unlock()
	b.more.Broadcast()
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
