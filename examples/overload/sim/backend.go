package sim

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// A Backend does work. Do returns when it is done, however long that takes:
// work that nobody waits for any more costs as much as any other.
type Backend interface {
	Do(work time.Duration)
}

// CPU is a machine whose cores are shared by all that is under way, and lost in
// part to the sharing: n at a time have 1/(1+Loss·(n-Cores)) of it.
type CPU struct {
	Cores int
	Loss  float64

	mu    sync.Mutex // guards what follows
	jobs  jobs
	done  float64 // work done for each job since the start, ns
	at    time.Time
	timer *time.Timer
}

type job struct {
	until float64 // of CPU.done
	ready chan struct{}
}

type jobs []job

func (j jobs) Len() int           { return len(j) }
func (j jobs) Less(a, b int) bool { return j[a].until < j[b].until }
func (j jobs) Swap(a, b int)      { j[a], j[b] = j[b], j[a] }
func (j *jobs) Push(x any)        { *j = append(*j, x.(job)) }
func (j *jobs) Pop() any {
	last := len(*j) - 1
	x := (*j)[last]
	*j = (*j)[:last]
	return x
}

// Do implements [Backend].
func (c *CPU) Do(work time.Duration) {
	ready := make(chan struct{})
	c.mu.Lock()
	c.advance()
	heap.Push(&c.jobs, job{c.done + float64(work), ready})
	c.schedule()
	c.mu.Unlock()
	<-ready
}

// speed is how much of a core each job has.
func (c *CPU) speed() float64 {
	n := float64(len(c.jobs))
	if n <= float64(c.Cores) {
		return 1
	}
	return float64(c.Cores) / n / (1 + c.Loss*(n-float64(c.Cores)))
}

func (c *CPU) advance() {
	now := time.Now()
	if len(c.jobs) > 0 {
		c.done += float64(now.Sub(c.at)) * c.speed()
	}
	c.at = now
}

func (c *CPU) schedule() {
	if len(c.jobs) == 0 {
		return
	}
	wait := time.Duration(math.Ceil(math.Max(0, c.jobs[0].until-c.done) / c.speed()))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.finish)
		return
	}
	c.timer.Reset(wait)
}

func (c *CPU) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	for len(c.jobs) > 0 && c.jobs[0].until <= c.done+.5 {
		close(heap.Pop(&c.jobs).(job).ready)
	}
	c.schedule()
}

// Pool is a number of workers or connections, each for one at a time. The rest
// waits in line.
type Pool struct{ slots chan struct{} }

// NewPool returns a pool of n.
func NewPool(n int) *Pool { return &Pool{make(chan struct{}, n)} }

// Do implements [Backend].
func (p *Pool) Do(work time.Duration) {
	p.slots <- struct{}{}
	time.Sleep(work)
	<-p.slots
}

// Async is a backend that has room for everything.
type Async struct{}

// Do implements [Backend].
func (Async) Do(work time.Duration) { time.Sleep(work) }
