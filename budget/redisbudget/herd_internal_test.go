package redisbudget

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/redis/go-redis/v9"
)

// A herd is a fleet on a real server: processes whose calls all fail, from
// start to end. They start with no credit, so that at any time
//
//	retries <= Ratio · requests + MinPerSecond · time
//
// and every sample of a test is an exact check of it.
type herd struct {
	t       *testing.T
	policy  budget.Policy
	members []*cow
	started time.Time
	stop    chan struct{}
	grazing sync.WaitGroup
	extra   atomic.Int64 // tokens that a failover may have brought back

	mu      sync.Mutex
	samples []sample
}

type cow struct {
	client            redis.UniversalClient
	fleet             *Fleet
	budgets           []*Shared
	requests, retries atomic.Int64
	exchanges         atomic.Int64
	changes           atomic.Int64
	timeouts          atomic.Int64 // exchanges that took too long, as on a machine that is busy
	scripts           atomic.Int64
}

type sample struct {
	at                time.Duration
	requests, retries int64
}

const herdSize = 8

// newHerd starts a herd with a client each, and waits until it shares.
func newHerd(t *testing.T, budgets int, dial func(i int) redis.UniversalClient, opts ...Option) *herd {
	t.Helper()
	h := &herd{t: t, policy: budget.Policy{Ratio: 0.1, MinPerSecond: 20}, stop: make(chan struct{})}
	h.started = time.Now()
	for i := range herdSize {
		c := &cow{client: dial(i)}
		observer := Observer{
			OnExchange: func(e ExchangeEvent) {
				c.exchanges.Add(1)
				if e.NoScript {
					c.scripts.Add(1)
				}
				var timeout net.Error
				if errors.As(e.Err, &timeout) && timeout.Timeout() {
					c.timeouts.Add(1)
				}
			},
			OnConnection: func(ConnectionEvent) { c.changes.Add(1) },
		}
		f, err := New(c.client, append([]Option{WithObserver(observer)}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		c.fleet = f
		for n := range budgets {
			b, err := f.Budget(fmt.Sprint("api-", n), h.policy)
			if err != nil {
				t.Fatal(err)
			}
			c.budgets = append(c.budgets, b)
		}
		h.members = append(h.members, c)
	}
	t.Cleanup(h.end)
	h.shares(10 * time.Second)
	for _, c := range h.members {
		h.grazing.Go(func() { h.graze(c) })
	}
	h.grazing.Go(h.watch)
	return h
}

// graze sends requests, all of which fail and ask for a retry twice, as a
// transport does: before the wait and after it.
func (h *herd) graze(c *cow) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	refused := make([]int, len(c.budgets))
	for n := 0; ; n++ {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		for i, b := range c.budgets {
			for range refused[i] {
				if b.Withdraw() {
					c.retries.Add(1)
				}
			}
			refused[i] = 0
			for range 1 + rand.IntN(3) {
				b.Deposit()
				c.requests.Add(1)
				if b.Withdraw() {
					c.retries.Add(1)
				} else {
					refused[i]++
				}
			}
		}
	}
}

// watch takes a sample twenty times a second.
func (h *herd) watch() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		h.mu.Lock()
		h.samples = append(h.samples, h.sample())
		h.mu.Unlock()
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
	}
}

// sample reads retries before requests and time, so that a bound on them is
// not broken by what happens in between.
func (h *herd) sample() (s sample) {
	for _, c := range h.members {
		s.retries += c.retries.Load()
	}
	for _, c := range h.members {
		s.requests += c.requests.Load()
	}
	s.at = time.Since(h.started)
	return s
}

// end stops the herd and checks its whole trace.
func (h *herd) end() {
	close(h.stop)
	h.grazing.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, c := range h.members {
		c.fleet.Close(ctx)
		c.client.Close()
	}
	h.bounded()
	last := h.sample()
	least := 0.93*h.policy.Ratio*float64(last.requests) - float64(len(h.members)*len(h.members[0].budgets))
	if float64(last.retries) < least {
		h.t.Errorf("%d retries for %d requests: the own ratio of each pays for %.0f", last.retries, last.requests, least)
	}
}

// bounded checks the promise at every sample, and over every window.
func (h *herd) bounded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	floor := h.policy.MinPerSecond * float64(len(h.members[0].budgets))
	var x, low, most float64
	for _, s := range h.samples {
		x = float64(s.retries) - h.policy.Ratio*float64(s.requests) - floor*s.at.Seconds()
		if x > float64(h.extra.Load())+0.01 {
			h.t.Errorf("after %v: %d retries for %d requests, %.1f more than were earned", s.at, s.retries, s.requests, x)
			return
		}
		low = min(low, x)
		most = max(most, x-low)
	}
	last := h.samples[len(h.samples)-1]
	rate := h.policy.Ratio*float64(last.requests)/last.at.Seconds() + floor
	h.t.Logf("%d requests, %d retries in %v; excess of any window %.2f s of budget", last.requests, last.retries, last.at.Round(time.Millisecond), most/rate)
	// The stock may lie unused while Redis is away, with what the floor earns
	// of it meanwhile.
	if most/rate > 2 {
		h.t.Errorf("in a window %.2f s of budget were spent beyond what was earned, want at most 2", most/rate)
	}
}

// shares waits until all share their budgets, and returns how long it took.
func (h *herd) shares(within time.Duration) time.Duration {
	h.t.Helper()
	start := time.Now()
	eventually(h.t, within, "all share again", func() bool { return h.connected() == len(h.members) })
	return time.Since(start)
}

// connected is how many of the members share all their budgets.
func (h *herd) connected() (n int) {
	for _, c := range h.members {
		all := true
		for _, b := range c.budgets {
			all = all && b.Stats().Connected
		}
		if all {
			n++
		}
	}
	return n
}

func (h *herd) lost(within time.Duration) {
	h.t.Helper()
	eventually(h.t, within, "all noticed", func() bool { return h.connected() == 0 })
}

// during returns what happens while a ticker runs for d.
func (h *herd) during(d time.Duration) (requests, retries float64, seconds float64) {
	a := h.sample()
	<-time.After(d)
	b := h.sample()
	return float64(b.requests - a.requests), float64(b.retries - a.retries), (b.at - a.at).Seconds()
}

// onItsOwn checks that each spends its own ratio and no more while Redis is
// away for d.
func (h *herd) onItsOwn(d time.Duration) {
	h.t.Helper()
	goroutines := runtime.NumGoroutine()
	requests, retries, seconds := h.during(d)
	h.t.Logf("alone for %.1f s: ratio %.2f%%", seconds, 100*retries/requests)
	if got, own := retries/requests, h.policy.Ratio; got < own-0.02 || got > own+0.02 {
		h.t.Errorf("without Redis the ratio was %.3f, want the own %.3f", got, own)
	}
	_ = goroutines
}

// together checks that the floor is shared: that the fleet gets about what requests
// and floor earn, in a time of d. A time in which the machine was too busy to show it, or
// that follows one, is not judged.
func (h *herd) together(d time.Duration) {
	h.t.Helper()
	floor := h.policy.MinPerSecond * float64(len(h.members[0].budgets))
	busy := false
	for range 30 {
		before := h.timeouts()
		requests, retries, seconds := h.during(d)
		earned := h.policy.Ratio*requests + floor*seconds
		h.t.Logf("together for %.1f s: ratio %.2f%%, target %.2f%%", seconds, 100*retries/requests, 100*earned/requests)
		floored := retries - h.policy.Ratio*requests
		if floored >= 0.5*floor*seconds-float64(len(h.members)) {
			return
		}
		was := busy
		busy = h.timeouts() > before || requests < 0.7*h.offered()*d.Seconds()
		if !was && !busy {
			h.t.Errorf("of the floor came %.0f retries in %.1f s, want about %.0f", floored, seconds, floor*seconds)
			return
		}
	}
	h.t.Error("the machine was too busy to see whether the floor is shared")
}

// offered is how many requests per second the members send when they have the time.
func (h *herd) offered() float64 { return float64(200 * len(h.members) * len(h.members[0].budgets)) }

// timeouts is how many exchanges of all members had no answer in time.
func (h *herd) timeouts() (n int64) {
	for _, c := range h.members {
		n += c.timeouts.Load()
	}
	return n
}
