package breaker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
)

var (
	allWorlds = flag.Bool("all", false, "run every world at every rate, which takes minutes")
	seeds     = flag.Uint64("seeds", 1, "with -all, run each so often")
)

// A world is a service as it behaves over time. It is never over capacity.
type world struct {
	name   string
	length time.Duration
	end    time.Duration // of an outage; 0: no outage
	reply  func(at time.Duration, chance float64, n int) reply
	queue  *queue    // instead of reply
	rates  []float64 // calls per second and client, if not all
	fleet  int       // clients, if so few that chance decides are not enough
	usual  float64   // the rate of a run without -all, if it takes part in that
	opens  bool      // every circuit opens that sees 20 calls per second or more
	never  bool      // no circuit opens
}

// A reply is what becomes of an attempt.
type reply struct {
	after  time.Duration
	status int // 0: no connection
	header http.Header
	hangs  bool // until the client gives up
}

const (
	seconds = time.Second
	minutes = time.Minute
	quick   = 20 * time.Millisecond
)

var fine = reply{after: quick, status: 200}

// outage is a service that does something else for a time.
func outage(from, to time.Duration, during, usual reply) func(time.Duration, float64, int) reply {
	return func(at time.Duration, _ float64, _ int) reply {
		if at >= from && at < to {
			return during
		}
		return usual
	}
}

// partly fails at random.
func partly(share float64) func(time.Duration, float64, int) reply {
	return func(_ time.Duration, chance float64, _ int) reply {
		if chance < share {
			return reply{after: quick / 4, status: 500}
		}
		return fine
	}
}

// replicas are asked in turn. So many are bad.
func replicas(bad, of int, how reply) func(time.Duration, float64, int) reply {
	return func(_ time.Duration, _ float64, n int) reply {
		if n%of < bad {
			return how
		}
		return fine
	}
}

// flapping is down for a part of every period.
func flapping(period, down time.Duration, how reply) func(time.Duration, float64, int) reply {
	return func(at time.Duration, _ float64, _ int) reply {
		if at%period < down {
			return how
		}
		return fine
	}
}

// A queue is a server with five workers, of 20 ms for each request, that works
// on requests whose clients have left, too.
type queue struct {
	from, to time.Duration
	slower   float64       // so many times as slow between from and to; 0: stands still
	extra    time.Duration // latency afterwards
}

func (q *queue) serve() func(time.Duration, float64, int) reply {
	free := make([]time.Duration, 5)
	return func(at time.Duration, chance float64, _ int) reply {
		worker := 0
		for i := range free {
			if free[i] < free[worker] {
				worker = i
			}
		}
		start, took := max(at, free[worker]), -math.Log(1-chance)*float64(quick)
		if start >= q.from && start < q.to {
			if q.slower == 0 {
				start = q.to
			} else {
				took *= q.slower
			}
		}
		end := start + time.Duration(took)
		free[worker] = end
		if at > q.from {
			end += q.extra
		}
		return reply{after: end - at, status: 200}
	}
}

// byHalves is down for 20 s. Then every second call is served, and after another
// 20 s all are.
func byHalves(at time.Duration, _ float64, n int) reply {
	if at >= 10*time.Second && (at < 30*time.Second || at < 50*time.Second && n%2 == 0) {
		return fails
	}
	return fine
}

var (
	fails    = reply{after: quick / 4, status: 500}
	refuses  = reply{}
	away     = reply{after: quick / 4, status: 503, header: http.Header{"Retry-After": {"30"}}}
	hangs    = reply{hangs: true}
	slowFine = reply{after: 300 * time.Millisecond, status: 200}
)

func worlds() []world {
	w := []world{
		{name: "errors 30s", usual: 30, opens: true, length: 80 * seconds, end: 40 * seconds, reply: outage(10*seconds, 40*seconds, fails, fine)},
		{name: "errors 12s", opens: true, length: 60 * seconds, end: 22 * seconds, reply: outage(10*seconds, 22*seconds, fails, fine)},
		{name: "errors 3s", never: true, length: 30 * seconds, end: 13 * seconds, reply: outage(10*seconds, 13*seconds, fails, fine)},
		{name: "refused 30s", opens: true, length: 80 * seconds, end: 40 * seconds, reply: outage(10*seconds, 40*seconds, refuses, fine)},
		{name: "refused 60s", opens: true, length: 90 * seconds, end: 70 * seconds, reply: outage(10*seconds, 70*seconds, refuses, fine)},
		{name: "maintenance 25s", usual: 30, length: 80 * seconds, end: 35 * seconds, reply: outage(10*seconds, 35*seconds, away, fine)},
		{name: "hang 30s", usual: 10, length: 80 * seconds, end: 40 * seconds, reply: outage(10*seconds, 40*seconds, hangs, fine)},
		{name: "slow service, errors 30s", usual: 30, length: 80 * seconds, end: 40 * seconds, reply: outage(10*seconds, 40*seconds, fails, slowFine)},
		{name: "errors 10m", opens: true, length: 11 * minutes, end: 610 * seconds, reply: outage(10*seconds, 610*seconds, fails, fine), rates: []float64{0.5, 2, 10, 30}},
		{name: "refused 10m", opens: true, length: 11 * minutes, end: 610 * seconds, reply: outage(10*seconds, 610*seconds, refuses, fine), rates: []float64{0.5, 2, 10, 30}},
		{name: "refused 3m", opens: true, length: 4 * minutes, end: 190 * seconds, reply: outage(10*seconds, 190*seconds, refuses, fine), rates: []float64{0.5, 2, 10, 30}},
		{name: "hang 10m", length: 11 * minutes, end: 610 * seconds, reply: outage(10*seconds, 610*seconds, hangs, fine), rates: []float64{0.5, 2, 10}},
		{name: "1 of 2 fails", usual: 10, never: true, length: 60 * seconds, reply: replicas(1, 2, fails)},
		{name: "1 of 2 refuses", never: true, length: 60 * seconds, reply: replicas(1, 2, refuses)},
		{name: "1 of 2 hangs", usual: 10, never: true, length: 60 * seconds, reply: replicas(1, 2, hangs)},
		{name: "2 of 3 fail", never: true, length: 60 * seconds, reply: replicas(2, 3, fails)},
		{name: "9 of 10 fail", usual: 10, never: true, length: 60 * seconds, reply: replicas(9, 10, fails)},
		{name: "flapping 1s of 5s refused", usual: 10, length: 60 * seconds, reply: flapping(5*seconds, 1*seconds, refuses)},
		{name: "flapping 4s of 5s fails", length: 60 * seconds, reply: flapping(5*seconds, 4*seconds, fails)},
		{name: "flapping 15s of 20s fails", usual: 10, length: 100 * seconds, reply: flapping(20*seconds, 15*seconds, fails)},
		{name: "flapping 12s of 13s refused", length: 100 * seconds, reply: flapping(13*seconds, 12*seconds, refuses)},
	}
	storm := []float64{35}
	w = append(w,
		world{name: "stall", usual: 35, length: 80 * seconds, queue: &queue{from: 10 * seconds, to: 20 * seconds}, rates: storm},
		world{name: "stall and slower", length: 80 * seconds, queue: &queue{from: 10 * seconds, to: 20 * seconds, extra: 300 * time.Millisecond}, rates: storm},
		world{name: "drop", length: 80 * seconds, queue: &queue{from: 10 * seconds, to: 20 * seconds, slower: 5}, rates: storm},
		world{name: "stall 5s", length: 80 * seconds, queue: &queue{from: 10 * seconds, to: 15 * seconds}, rates: storm},
		world{name: "hang 3m", length: 4 * minutes, end: 190 * seconds, reply: outage(10*seconds, 190*seconds, hangs, fine), rates: []float64{30, 200}},
	)
	// Written after the first tuning of the open time, before they were first run.
	w = append(w,
		world{name: "3 of 4 refuse", length: 70 * seconds, reply: replicas(3, 4, refuses), rates: []float64{0.7, 5, 80}},
		world{name: "2 of 5 hang", length: 70 * seconds, reply: replicas(2, 5, hangs), rates: []float64{0.7, 5, 80}},
		world{name: "19 of 20 fail", length: 100 * seconds, reply: replicas(19, 20, fails), rates: []float64{5, 80}},
		world{name: "flapping 7s of 9s fails", length: 90 * seconds, reply: flapping(9*seconds, 7*seconds, fails), rates: []float64{5, 12, 80}},
		world{name: "flapping 300ms of 1s refused", length: 60 * seconds, reply: flapping(seconds, 300*time.Millisecond, refuses), rates: []float64{5, 80}},
		world{name: "flapping 25s of 27s fails", length: 108 * seconds, reply: flapping(27*seconds, 25*seconds, fails), rates: []float64{5, 12, 80}},
		world{name: "errors 45s", length: 75 * seconds, end: 50 * seconds, reply: outage(5*seconds, 50*seconds, fails, fine), rates: []float64{1, 5, 12, 80}},
		world{name: "comes back by halves", usual: 12, length: 100 * seconds, reply: byHalves, fleet: 16, rates: []float64{5, 12, 80}},
		world{name: "0.6 of calls fail at once", length: 100 * seconds, reply: partly(0.6), rates: []float64{1, 12, 80}},
		world{name: "0.985 of calls fail at once", length: 100 * seconds, reply: partly(0.985), rates: []float64{1, 12, 80}},
	)
	for _, share := range []float64{0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995} {
		usual := 0.0
		if share == 0.5 || share == 0.95 {
			usual = 10
		}
		w = append(w, world{name: fmt.Sprintf("%g of calls fail", share), usual: usual, length: 120 * seconds, reply: partly(share), never: share <= 0.9})
	}
	return w
}

// A history is what came of the calls to a world.
type history struct {
	calls, answered int
	refused         int           // by the circuit, in the end
	late            time.Duration // after the end of an outage, the last refusal
	opened          int
}

func (h history) share() float64 { return float64(h.answered) / float64(h.calls) }

// live sends the calls of some clients into a world and returns what came of
// them, with or without a breaker.
func (w world) live(t *testing.T, clients int, rate float64, with bool, seed uint64) history {
	t.Helper()
	var h history
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		start := time.Now()
		chance := rand.New(rand.NewPCG(seed, 1))
		n := 0
		answer := w.reply
		if w.queue != nil {
			answer = w.queue.serve()
		}
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			r := answer(time.Since(start), chance.Float64(), n)
			n++
			mu.Unlock()
			if r.hangs {
				<-req.Context().Done()
				return nil, context.Cause(req.Context())
			}
			time.Sleep(r.after)
			if r.status == 0 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			header := r.header
			if header == nil {
				header = http.Header{}
			}
			return &http.Response{StatusCode: r.status, Header: header, Body: http.NoBody, Request: req}, nil
		})
		arrivals := rand.New(rand.NewPCG(seed, 2))
		var calls sync.WaitGroup
		for range clients {
			opts := []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 3, AttemptTimeout: 2 * time.Second})}
			if with {
				set := newSet(t, breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
					if c.From == breaker.StateClosed {
						mu.Lock()
						h.opened++
						mu.Unlock()
					}
				}}))
				opts = append(opts, transport.WithBreaker(set.Wrap))
			}
			rt, err := transport.New(base, opts...)
			if err != nil {
				t.Fatal(err)
			}
			mine := rand.New(rand.NewPCG(arrivals.Uint64(), 3))
			calls.Go(func() {
				for time.Since(start) < w.length {
					time.Sleep(time.Duration(mine.ExpFloat64() / rate * float64(time.Second)))
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						defer cancel()
						resp, err := rt.RoundTrip(request(t, ctx))
						mu.Lock()
						defer mu.Unlock()
						h.calls++
						switch {
						case err == nil && resp.StatusCode < 400:
							h.answered++
						case errors.Is(err, breaker.ErrOpen):
							h.refused++
							if w.end > 0 {
								h.late = max(h.late, time.Since(start)-w.end)
							}
						}
					})
				}
			})
		}
		calls.Wait()
	})
	return h
}

// With a breaker at most 1 % fewer calls are answered than without one, whatever
// becomes of the service, and 5 s after an outage none is refused. Where a
// circuit never opened, what differs is chance.
func TestBreakerDoesNoHarm(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			rates, runs := w.rates, *seeds
			switch {
			case !*allWorlds:
				if w.usual == 0 {
					t.Skip("without -all")
				}
				rates, runs = []float64{w.usual}, 1
			case rates == nil:
				rates = []float64{0.5, 2, 10, 30, 200}
			}
			for _, rate := range rates {
				for seed := range runs {
					w.compare(t, rate, seed)
				}
			}
		})
	}
}

func (w world) compare(t *testing.T, rate float64, seed uint64) {
	t.Helper()
	clients := int(max(1, 20/rate))
	if w.fleet > 0 {
		clients = w.fleet
	}
	if w.queue != nil {
		clients = 5
	}
	without, with := w.live(t, clients, rate, false, seed), w.live(t, clients, rate, true, seed)
	t.Logf("%3d clients of %g/s: %.3f answered without and %.3f with it, %d refused by %d openings, the last %v after the end",
		clients, rate, without.share(), with.share(), with.refused, with.opened, with.late.Round(time.Millisecond))
	if lost := without.share() - with.share(); with.opened > 0 && lost > 0.01 {
		t.Errorf("%g/s, seed %d: %.3f fewer answered than without it, want at most 0.01", rate, seed, lost)
	}
	if with.late > 5*time.Second {
		t.Errorf("%g/s, seed %d: refused %v after the end, want at most 5s", rate, seed, with.late)
	}
	if w.opens && rate >= 20 && with.opened == 0 {
		t.Errorf("%g/s, seed %d: no circuit opened", rate, seed)
	}
	if w.never && with.opened > 0 {
		t.Errorf("%g/s, seed %d: a circuit opened", rate, seed)
	}
}
