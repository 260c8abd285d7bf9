package worlds

import (
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/sim"
)

// A Visit is a request in the handler.
type Visit struct {
	http.ResponseWriter
	Request *http.Request
	Rand    *rand.Rand // of the call: it draws the same whatever the middleware does
	start   time.Time
}

// At returns the time since the start of the world.
func (v *Visit) At() time.Duration { return time.Since(v.start) }

// A Service returns a handler that begins afresh, at the start of the world.
type Service func() func(*Visit)

// A Draw is how long a visit takes.
type Draw func(*Visit) time.Duration

// Exactly takes d.
func Exactly(d time.Duration) Draw { return func(*Visit) time.Duration { return d } }

// Between takes any time from a to b.
func Between(a, b time.Duration) Draw {
	return func(v *Visit) time.Duration { return a + time.Duration(v.Rand.Float64()*float64(b-a)) }
}

// About takes the mean, a quarter more or less.
func About(mean time.Duration) Draw { return Between(mean*3/4, mean*5/4) }

// Exponential takes the mean, and often much less or more.
func Exponential(mean time.Duration) Draw {
	return func(v *Visit) time.Duration { return time.Duration(v.Rand.ExpFloat64() * float64(mean)) }
}

// Lognormal has a tail as long as sigma says. 1 is that of many services.
func Lognormal(mean time.Duration, sigma float64) Draw {
	return func(v *Visit) time.Duration {
		return time.Duration(float64(mean) * math.Exp(sigma*v.Rand.NormFloat64()-sigma*sigma/2))
	}
}

// Mix is a for a share of the visits and b for the others.
func Mix(share float64, a, b Draw) Draw {
	return func(v *Visit) time.Duration {
		if v.Rand.Float64() < share {
			return a(v)
		}
		return b(v)
	}
}

// During is a from one time to another, when the work begins, and b before and after.
func During(from, to time.Duration, a, b Draw) Draw {
	return func(v *Visit) time.Duration {
		if at := v.At(); at >= from && at < to {
			return a(v)
		}
		return b(v)
	}
}

// From is a from some time on and b before.
func From(at time.Duration, a, b Draw) Draw { return During(at, math.MaxInt64, a, b) }

// Changing takes as long as f says of the time since the start.
func Changing(f func(at time.Duration) time.Duration) Draw {
	return func(v *Visit) time.Duration { return f(v.At()) }
}

// Sleep has room for any number of visits.
func Sleep(d Draw) Service {
	return func() func(*Visit) { return func(v *Visit) { time.Sleep(d(v)) } }
}

// Attentive is as Sleep, but ends when the client hangs up.
func Attentive(d Draw) Service {
	return func() func(*Visit) {
		return func(v *Visit) {
			t := time.NewTimer(d(v))
			defer t.Stop()
			select {
			case <-t.C:
			case <-v.Request.Context().Done():
			}
		}
	}
}

// A Resize changes the number of workers of a pool. Without any, work that has
// begun is finished and none is begun.
type Resize struct {
	At      time.Duration
	Workers int
}

// Pool has a number of workers, each for one visit at a time, and a queue, first
// come, first served.
func Pool(workers int, d Draw, resizes ...Resize) Service {
	return func() func(*Visit) {
		p, size := &pool{free: workers}, workers
		for _, r := range resizes {
			more := r.Workers - size
			size = r.Workers
			time.AfterFunc(r.At, func() { p.grow(more) })
		}
		return func(v *Visit) {
			p.take()
			time.Sleep(d(v))
			p.grow(1)
		}
	}
}

// pool is not a [sim.Pool] because its size changes.
type pool struct {
	mu    sync.Mutex // guards what follows
	free  int        // negative when it shrank and some still work
	queue []chan struct{}
}

func (p *pool) take() {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	<-turn
}

func (p *pool) grow(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.free += n; p.free > 0 && len(p.queue) > 0; p.free-- {
		close(p.queue[0])
		p.queue = p.queue[1:]
	}
}

// CPU has cores that all visits share, see [sim.CPU].
func CPU(cores int, loss float64, d Draw) Service {
	return func() func(*Visit) {
		c := &sim.CPU{Cores: cores, Loss: loss}
		return func(v *Visit) { c.Do(d(v)) }
	}
}

// Batches gathers what comes within a time and does it all at once, as a group
// commit does: the more there is to do, the more is done.
func Batches(every time.Duration) Service {
	return func() func(*Visit) {
		var mu sync.Mutex
		var next chan struct{}
		return func(*Visit) {
			mu.Lock()
			if next == nil {
				next = make(chan struct{})
				time.AfterFunc(every, func() {
					mu.Lock()
					defer mu.Unlock()
					close(next)
					next = nil
				})
			}
			done := next
			mu.Unlock()
			<-done
		}
	}
}

// Row does one after the other.
func Row(services ...Service) Service {
	return func() func(*Visit) {
		var all []func(*Visit)
		for _, s := range services {
			all = append(all, s())
		}
		return func(v *Visit) {
			for _, f := range all {
				f(v)
			}
		}
	}
}

// Either is a for a share of the visits and b for the others.
func Either(share float64, a, b Service) Service {
	return func() func(*Visit) {
		a, b := a(), b()
		return func(v *Visit) {
			if v.Rand.Float64() < share {
				a(v)
			} else {
				b(v)
			}
		}
	}
}

// Routes is a service for each path. They share nothing.
func Routes(by map[string]Service) Service {
	return func() func(*Visit) {
		all := map[string]func(*Visit){}
		for path, s := range by {
			all[path] = s()
		}
		return func(v *Visit) { all[v.Request.URL.Path](v) }
	}
}

// Named gives every request a pattern of its own, as a router does that has none.
func Named(s Service) Service {
	return func() func(*Visit) {
		f := s()
		return func(v *Visit) {
			v.Request.Pattern = "/" + time.Duration(v.Rand.Int64()).String()
			f(v)
		}
	}
}

// Failing answers a status at once from one time to another, and is s before and after.
func Failing(status int, from, to time.Duration, s Service) Service {
	return func() func(*Visit) {
		f := s()
		return func(v *Visit) {
			if at := v.At(); at >= from && at < to {
				v.WriteHeader(status)
				return
			}
			f(v)
		}
	}
}

// Answering answers a status when s is done.
func Answering(status int, s Service) Service {
	return func() func(*Visit) {
		f := s()
		return func(v *Visit) {
			f(v)
			v.WriteHeader(status)
		}
	}
}

// Stream sends its header at once and an event each second for as long as d says.
func Stream(d Draw) Service {
	return func() func(*Visit) {
		return func(v *Visit) {
			flush := http.NewResponseController(v.ResponseWriter).Flush
			v.WriteHeader(http.StatusOK)
			flush()
			for left := d(v); left > 0 && v.Request.Context().Err() == nil; left -= time.Second {
				time.Sleep(min(left, time.Second))
				v.Write([]byte("data: more\n\n"))
				flush()
			}
		}
	}
}

// Upload reads its body.
func Upload() Service {
	return func() func(*Visit) { return func(v *Visit) { io.Copy(io.Discard, v.Request.Body) } }
}

// Download writes a body that no buffer has room for.
func Download() Service {
	return func() func(*Visit) {
		body := make([]byte, 1<<20)
		return func(v *Visit) { v.Write(body) }
	}
}
