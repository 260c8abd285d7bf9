package health_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
)

// A farm is a service with one queue. Like most, it serves requests whose clients have
// gone.
type farm struct {
	mu     sync.Mutex
	more   sync.Cond
	queue  []chan struct{}
	active int // workers; the others do nothing
	closed bool
	staff  sync.WaitGroup
	sent   atomic.Int64
	later  atomic.Int64 // ns that each response takes longer
}

// A worker serves 50 calls per second.
const work = 20 * time.Millisecond

func newFarm(workers int) *farm {
	f := &farm{active: workers}
	f.more.L = &f.mu
	for i := range workers {
		f.staff.Go(func() { f.worker(i) })
	}
	return f
}

func (f *farm) worker(id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for !f.closed && (len(f.queue) == 0 || id >= f.active) {
			f.more.Wait()
		}
		if f.closed {
			return
		}
		job := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(work)))
		close(job)
		f.mu.Lock()
	}
}

func (f *farm) staffed(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = n
	f.more.Broadcast()
}

func (f *farm) RoundTrip(req *http.Request) (*http.Response, error) {
	job := make(chan struct{})
	f.mu.Lock()
	f.queue = append(f.queue, job)
	f.mu.Unlock()
	f.sent.Add(1)
	f.more.Broadcast()
	select {
	case <-job:
		time.Sleep(time.Duration(f.later.Load()))
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

func (f *farm) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.more.Broadcast()
	f.staff.Wait()
}

// hangs never answers.
func hangs(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// A world is a fleet of clients of a farm, and what befalls it.
type world struct {
	clients int
	workers int
	cold    bool // clients join with their first call, as programs that just started
	alone   bool // no fleet
	load    float64
	length  time.Duration
	from    time.Duration // when the fault begins
	fault   time.Duration
	left    int                                                     // workers during the fault
	begin   func(*farm)                                             // what else happens when the fault begins
	spike   float64                                                 // by which the load is multiplied during the fault
	base    func(client int, f http.RoundTripper) http.RoundTripper // what a client sees of the farm
	ill     int                                                     // the first clients, whose calls do not count
	restart time.Duration                                           // when all clients restart; 0: never
	link    func(client int, at time.Duration) (time.Duration, error)
}

// A story is what happened.
type story struct {
	back     int     // seconds from the end of the fault until 95 % succeed for 3 seconds; -1: never
	success  float64 // of all calls
	attempts float64 // per call during the fault
	first    float64 // arrivals in the busiest second after the fault, compared with the usual rate
	held     int     // calls that the fleet refused
	engaged  int     // half seconds
	reports  float64 // per client and second
}

// lossy is a store with a way to it.
type lossy struct {
	*health.Memory
	link func() (time.Duration, error)
}

func (l lossy) Exchange(ctx context.Context, keys []string, reports []health.Report) ([]health.Reply, error) {
	if l.link == nil {
		return l.Memory.Exchange(ctx, keys, reports)
	}
	d, err := l.link()
	wait := func() error {
		select {
		case <-time.After(max(d/2, 1)): // 0 crashes the race detector here (golang/go#78156)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if late := wait(); late != nil || err != nil {
		return nil, context.DeadlineExceeded
	}
	replies, err := l.Memory.Exchange(ctx, keys, reports)
	if late := wait(); late != nil {
		return nil, late
	}
	return replies, err
}

type silent struct{}

func (silent) Connected(int, int, error)    {}
func (silent) Changed(string, health.Reply) {}
func (silent) Foreign(string, string)       {}

func (w world) play(t *testing.T) (s story) {
	t.Helper()
	if raced && w.clients > 200 {
		t.Skip("a large fleet takes too long with the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(w.workers)
		defer f.close()
		start := time.Now()
		memory := health.NewMemory(func() float64 { return 1.7e15 + float64(time.Since(start).Microseconds()) })
		seconds := int(w.length / time.Second)
		began, good := make([]atomic.Int64, seconds+1), make([]atomic.Int64, seconds+1)
		sent := make([]int64, seconds+2)
		for i := range sent {
			time.AfterFunc(time.Duration(i)*time.Second, func() { sent[i] = f.sent.Load() })
		}
		if w.fault > 0 {
			time.AfterFunc(w.from, func() {
				f.staffed(w.left)
				if w.begin != nil {
					w.begin(f)
				}
			})
			time.AfterFunc(w.from+w.fault, func() { f.staffed(w.workers) })
		}
		var held, reports atomic.Int64
		var clients sync.WaitGroup
		join := func(i int) (*health.Fleet, *transport.Transport) {
			var base http.RoundTripper = f
			if w.base != nil {
				base = w.base(i, f)
			}
			opts := []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 4, AttemptTimeout: time.Second})}
			var fleet *health.Fleet
			if !w.alone {
				store := lossy{Memory: memory}
				if w.link != nil {
					store.link = func() (time.Duration, error) { return w.link(i, time.Since(start)) }
				}
				fleet = health.New(store, health.Params{Shards: 1, Interval: time.Second, Services: 10, Rare: 1.5}, silent{})
				opts = append(opts, transport.WithFleet(fleet.Guard()))
				if !w.cold {
					fleet.Guard().Service("farm.test")
				}
			}
			chain, err := transport.New(base, opts...)
			if err != nil {
				t.Fatal(err)
			}
			return fleet, chain
		}
		leave := func(fleet *health.Fleet) {
			if fleet != nil {
				reports.Add(fleet.Stats("farm.test").Reports)
				fleet.Close(t.Context())
			}
		}
		var engaged atomic.Int64
		watch := func(fleet *health.Fleet) {
			for at := time.Second; at < w.length; at += time.Second / 2 {
				time.AfterFunc(at, func() {
					if fleet.Stats("farm.test").Share < 1 {
						engaged.Add(1)
					}
				})
			}
		}
		for i := range w.clients {
			fleet, chain := join(i)
			if fleet != nil && i == w.clients-1 {
				watch(fleet)
			}
			clients.Go(func() {
				defer func() { leave(fleet) }()
				var calls sync.WaitGroup
				defer calls.Wait()
				restarted := false
				for {
					now := time.Since(start)
					rate := w.load * float64(w.workers) / work.Seconds() / float64(w.clients)
					if w.spike > 0 && now > w.from && now < w.from+w.fault {
						rate *= w.spike
					}
					time.Sleep(min(time.Duration(rand.ExpFloat64()/rate*float64(time.Second)), w.length-now))
					now = time.Since(start)
					if now >= w.length {
						return
					}
					if w.restart > 0 && now > w.restart && !restarted {
						restarted = true
						leave(fleet)
						fleet, chain = join(i)
					}
					second := int(now / time.Second)
					counts := i >= w.ill
					if counts {
						began[second].Add(1)
					}
					chain := chain
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						defer cancel()
						req, _ := http.NewRequestWithContext(ctx, "GET", "http://farm.test/", nil)
						resp, err := chain.RoundTrip(req)
						if err == nil {
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
							if counts {
								good[second].Add(1)
							}
						} else if isFleet(err) {
							held.Add(1)
						}
					})
				}
			})
		}
		clients.Wait()
		end := int((w.from + w.fault) / time.Second)
		s.back = -1
		for i, streak := end, 0; i < seconds && s.back < 0; i++ {
			if streak++; float64(good[i].Load()) < 0.95*float64(began[i].Load()) {
				streak = 0
			} else if streak == 3 {
				s.back = i - 2 - end
			}
		}
		var all, ok, during float64
		for i := range seconds {
			all += float64(began[i].Load())
			ok += float64(good[i].Load())
			if time.Duration(i)*time.Second >= w.from && i < end {
				during += float64(began[i].Load())
			}
		}
		s.success = ok / all
		if during > 0 {
			from := int(w.from / time.Second)
			s.attempts = float64(sent[end]-sent[from]) / during
			for i := end; i < min(end+15, seconds); i++ {
				s.first = max(s.first, float64(sent[i+1]-sent[i])/(w.load*float64(w.workers)/work.Seconds()))
			}
		}
		s.held, s.engaged = int(held.Load()), int(engaged.Load())
		s.reports = float64(reports.Load()) / float64(w.clients) / w.length.Seconds()
	})
	return s
}

func isFleet(err error) bool {
	for err != nil {
		if g, ok := err.(*transport.GuardError); ok {
			return g.Fleet
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return false
		}
		err = u.Unwrap()
	}
	return false
}
