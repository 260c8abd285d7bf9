package limiter

import (
	"container/heap"
	"math"
	"time"
)

// A place is where requests work.
type place interface {
	do(s *simulation, work time.Duration, done func())
}

// A pool has some workers, in front of which requests stand in line. Their
// number may change; negative: all stand still.
type pool struct {
	workers func(at time.Duration) int
	busy    int
	line    []func()
	first   int
	watched bool
}

func workersOf(n int) func(time.Duration) int { return func(time.Duration) int { return n } }

func newPool(n int) *pool { return &pool{workers: workersOf(n)} }

func (p *pool) do(s *simulation, work time.Duration, done func()) {
	p.line = append(p.line, func() {
		s.at(s.now+work, func() {
			p.busy--
			done()
			p.next(s)
		})
	})
	p.next(s)
	if !p.watched {
		p.watched = true
		p.watch(s)
	}
}

func (p *pool) watch(s *simulation) {
	s.at(s.now+20*time.Millisecond, func() {
		p.next(s)
		if s.elapsed() < s.world.length+10*time.Second {
			p.watch(s)
		}
	})
}

func (p *pool) next(s *simulation) {
	for p.first < len(p.line) && p.busy < p.workers(s.elapsed()) {
		p.busy++
		start := p.line[p.first]
		p.line[p.first] = nil
		p.first++
		start()
	}
	if p.first > 1000 && p.first*2 > len(p.line) {
		p.line = append([]func(){}, p.line[p.first:]...)
		p.first = 0
	}
}

// cores are shared by all that work, with a loss for each that is too many.
type cores struct {
	n, loss float64
	jobs    events // at is work done for each
	passed  float64
	last    time.Duration
	version int
}

func (c *cores) speed() float64 {
	k := float64(len(c.jobs))
	if k <= c.n {
		return 1
	}
	return c.n / k / (1 + c.loss*(k-c.n))
}

func (c *cores) pass(s *simulation) {
	if len(c.jobs) > 0 {
		c.passed += float64(s.now-c.last) * c.speed()
	}
	c.last = s.now
}

func (c *cores) do(s *simulation, work time.Duration, done func()) {
	c.pass(s)
	s.serial++
	heap.Push(&c.jobs, event{time.Duration(c.passed) + work, s.serial, done})
	c.plan(s)
}

func (c *cores) plan(s *simulation) {
	c.version++
	if len(c.jobs) == 0 {
		return
	}
	version := c.version
	left := math.Max(0, float64(c.jobs[0].at)-c.passed) / c.speed()
	s.at(s.now+time.Duration(math.Ceil(left)), func() {
		if version != c.version {
			return
		}
		c.pass(s)
		for len(c.jobs) > 0 && float64(c.jobs[0].at) <= c.passed+1 {
			heap.Pop(&c.jobs).(event).do()
		}
		c.plan(s)
	})
}

// after is one place and then another.
type after struct {
	first, second place
	share         float64 // of the work, in the first
}

func (a after) do(s *simulation, work time.Duration, done func()) {
	part := time.Duration(float64(work) * a.share)
	a.first.do(s, part, func() { a.second.do(s, work-part, done) })
}

// infinite has room for everything.
type infinite struct{}

func (infinite) do(s *simulation, work time.Duration, done func()) { s.at(s.now+work, done) }
