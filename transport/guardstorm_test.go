package transport_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// farm is a service with a fixed number of workers and one queue. It does the
// work of every request, also of one whose client has gone, as a server does
// that does not look.
type farm struct {
	work  func() time.Duration
	more  sync.Cond
	staff sync.WaitGroup

	mu     sync.Mutex // guards what follows
	queue  []chan struct{}
	closed bool
	until  time.Time // no work is begun before
	sent   int
}

func newFarm(workers int, work func() time.Duration) *farm {
	f := &farm{work: work}
	f.more.L = &f.mu
	for range workers {
		f.staff.Go(f.worker)
	}
	return f
}

func (f *farm) worker() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.queue) == 0 && !f.closed {
			f.more.Wait()
		}
		if f.closed {
			return
		}
		job, pause := f.queue[0], time.Until(f.until)
		f.queue = f.queue[1:]
		f.mu.Unlock()
		time.Sleep(max(pause, 0))
		time.Sleep(f.work())
		close(job)
		f.mu.Lock()
	}
}

func (f *farm) RoundTrip(req *http.Request) (*http.Response, error) {
	job := make(chan struct{})
	f.mu.Lock()
	f.queue = append(f.queue, job)
	f.sent++
	f.mu.Unlock()
	f.more.Signal()
	select {
	case <-job:
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

func (f *farm) stall(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = time.Now().Add(d)
}

func (f *farm) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.more.Broadcast()
	f.staff.Wait()
}

// drive sends calls at the given rate per second, spread over the clients, for
// as many seconds, and returns how many succeeded of those that began in each.
func drive(t *testing.T, clients []*transport.Transport, rate float64, seconds int) (began, succeeded []int) {
	t.Helper()
	began, succeeded = make([]int, seconds), make([]int, seconds)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for _, client := range clients {
		wg.Go(func() {
			for {
				time.Sleep(time.Duration(rand.ExpFloat64() * float64(len(clients)) / rate * float64(time.Second)))
				second := int(time.Since(start) / time.Second)
				if second >= seconds {
					return
				}
				mu.Lock()
				began[second]++
				mu.Unlock()
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					req, err := http.NewRequestWithContext(ctx, "GET", "http://farm.test/", nil)
					if err != nil {
						t.Error(err)
						return
					}
					if resp, err := client.RoundTrip(req); err == nil && resp.StatusCode == 200 {
						mu.Lock()
						succeeded[second]++
						mu.Unlock()
					}
				})
			}
		})
	}
	wg.Wait()
	return began, succeeded
}

func guarded(t *testing.T, base http.RoundTripper, n int, opts ...transport.Option) []*transport.Transport {
	t.Helper()
	fifth, err := budget.PerService(budget.Policy{Ratio: 0.2, MinPerSecond: 1}, 10)
	if err != nil {
		t.Fatal(err)
	}
	opts = append([]transport.Option{
		transport.WithBudget(fifth),
		transport.WithPolicy(transport.Policy{MaxAttempts: 4, AttemptTimeout: time.Second}),
	}, opts...)
	clients := make([]*transport.Transport, n)
	for i := range clients {
		client, err := transport.New(base, opts...)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = client
	}
	return clients
}

func exponential(mean time.Duration) func() time.Duration {
	return func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(mean)) }
}

// recovered returns how many seconds after the given one the share of calls
// that succeed is back at 95 percent for three seconds, or -1 for never.
func recovered(began, succeeded []int, from int) int {
	good := 0
	for s := from; s < len(began); s++ {
		if float64(succeeded[s]) < 0.95*float64(began[s]) {
			good = 0
		} else if good++; good == 3 {
			return s - 2 - from
		}
	}
	return -1
}

// A stall of a service that has a third of its capacity to spare leaves a
// queue behind which never drains, although no more than a fifth is retried.
// The guard ends that, whatever the scale of things is.
func TestGuardEndsAStorm(t *testing.T) {
	for _, test := range []struct {
		name    string
		clients int
		work    time.Duration // mean of an exponential
		timeout time.Duration
		within  int // seconds
	}{
		{name: "as in the benchmark", clients: 5, work: 20 * time.Millisecond, timeout: time.Second, within: 4},
		{name: "few clients", clients: 2, work: 20 * time.Millisecond, timeout: time.Second, within: 4},
		{name: "many clients", clients: 40, work: 20 * time.Millisecond, timeout: time.Second, within: 10},
		{name: "short timeout", clients: 5, work: 10 * time.Millisecond, timeout: 200 * time.Millisecond, within: 4},
		{name: "long timeout", clients: 5, work: 20 * time.Millisecond, timeout: 4 * time.Second, within: 6},
		{name: "slow work", clients: 5, work: 200 * time.Millisecond, timeout: 2 * time.Second, within: 15},
	} {
		t.Run(test.name, func(t *testing.T) {
			const workers, load = 5, 0.7
			rate := load * workers / test.work.Seconds()
			storm := func(opts ...transport.Option) (after int) {
				synctest.Test(t, func(t *testing.T) {
					f := newFarm(workers, exponential(test.work))
					defer f.close()
					time.AfterFunc(6*time.Second, func() { f.stall(8 * time.Second) })
					policy := transport.WithPolicy(transport.Policy{MaxAttempts: 4, AttemptTimeout: test.timeout})
					clients := guarded(t, f, test.clients, append(opts, policy)...)
					began, succeeded := drive(t, clients, rate, 34)
					after = recovered(began, succeeded, 14)
					t.Logf("recovered after %d s, %d attempts sent, successes %v", after, f.sent, succeeded)
				})
				return after
			}
			if after := storm(transport.WithoutGuard()); after >= 0 && after <= test.within {
				t.Errorf("without a guard it recovered after %d s: this is no storm", after)
			}
			if after := storm(); after < 0 || after > test.within {
				t.Errorf("recovered after %d s, want at most %d s", after, test.within)
			}
		})
	}
}

// What is no overload leaves the guard open.
func TestGuardStaysOpen(t *testing.T) {
	quick := exponential(20 * time.Millisecond)
	for _, test := range []struct {
		name string
		base func(farm *farm) http.RoundTripper
	}{
		{"calm", func(f *farm) http.RoundTripper { return f }},
		{"one of five replicas hangs", func(f *farm) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				if rand.IntN(5) == 0 {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return f.RoundTrip(req)
			})
		}},
		{"a burst of errors", func(f *farm) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := f.RoundTrip(req)
				if err == nil && time.Now().Second()%10 < 3 {
					resp.StatusCode = 500
				}
				return resp, err
			})
		}},
		{"a restart", func(f *farm) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				if time.Now().Second()%10 < 3 {
					return nil, errors.New("connection refused")
				}
				return f.RoundTrip(req)
			})
		}},
		{"a slow endpoint", func(f *farm) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				if rand.IntN(4) == 0 {
					time.Sleep(700 * time.Millisecond)
				}
				return f.RoundTrip(req)
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(50, quick)
				defer f.close()
				var mu sync.Mutex
				held := 0
				seen := transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
					var g *transport.GuardError
					if c.Stop == transport.StopGuard || errors.As(c.Err, &g) {
						mu.Lock()
						held++
						mu.Unlock()
					}
				}}
				drive(t, guarded(t, test.base(f), 2, transport.WithObserver(seen)), 200, 20)
				if held > 0 {
					t.Errorf("the guard throttled %d calls, want none", held)
				}
			})
		})
	}
}

// Refusals that say when or whether to come back engage the guard, in
// every dialect, once they are no exception. Those that say nothing do not.
func TestGuardAndRefusals(t *testing.T) {
	const sheds = "Retry-After: 1"
	for _, test := range []struct {
		name    string
		shed    float64 // of the requests
		hang    bool    // what the rest does, instead of an answer
		header  string
		engages bool
	}{
		{name: "it sheds", shed: 1, header: sheds, engages: true},
		{name: "it sheds, to the millisecond", shed: 1, header: "Retry-After-Ms: 1000", engages: true},
		{name: "Azure sheds", shed: 1, header: "X-Ms-Retry-After-Ms: 1000", engages: true},
		{name: "AWS sheds", shed: 1, header: "X-Amz-Retry-After: 1000", engages: true},
		{name: "gRPC sheds", shed: 1, header: "Grpc-Retry-Pushback-Ms: 1000", engages: true},
		{name: "a quota is used up", shed: 1, header: `Ratelimit: "a";r=0;t=1`, engages: true},
		{name: "it sheds for good", shed: 1, header: "X-Should-Retry: false", engages: true},
		{name: "it sheds for an hour", shed: 1, header: "Retry-After: 3600"},
		{name: "a proxy that has lost it", shed: 1, header: "Server: proxy"},
		{name: "a word that nobody knows", shed: 1, header: "Retry-After: soon"},
		{name: "a few are shed, the others hang", shed: 0.1, hang: true, header: sheds, engages: true},
		{name: "many hang, the others are shed", shed: 0.8, hang: true, header: sheds, engages: true},
		{name: "a few are shed", shed: 0.02, header: sheds},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if rand.Float64() >= test.shed {
						if !test.hang {
							return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
						}
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					name, value, _ := strings.Cut(test.header, ": ")
					h := http.Header{name: {value}}
					return &http.Response{StatusCode: 503, Header: h, Body: http.NoBody, Request: req}, nil
				})
				var held atomic.Int64
				seen := transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
					if c.Stop == transport.StopGuard {
						held.Add(1)
					}
				}}
				began, _ := drive(t, guarded(t, base, 2, transport.WithObserver(seen)), 100, 20)
				calls := 0
				for _, n := range began {
					calls += n
				}
				share := float64(held.Load()) / float64(calls)
				if test.engages && share < 0.3 || !test.engages && share > 0 {
					t.Errorf("the guard delayed %.0f %% of the calls", 100*share)
				}
			})
		})
	}
}
