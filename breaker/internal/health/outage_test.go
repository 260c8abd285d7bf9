package health_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/breaker/internal/health"
)

// An outage is a fleet of circuits, and which of its requests fail.
type outage struct {
	clients int
	rate    float64 // requests per second of each
	fails   func(client int, at time.Duration) bool
}

// A chronicle is what came of each second of an outage.
type chronicle struct{ asked, sent, refused, wasted []int } // wasted: refused although it would have succeeded

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (o outage) play(t *testing.T, length time.Duration) (c chronicle) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		memory := health.NewMemory(func() float64 { return 1.7e15 + float64(time.Since(start).Microseconds()) })
		seconds := int(length / time.Second)
		asked, sent := make([]atomic.Int64, seconds+1), make([]atomic.Int64, seconds+1)
		refused, wasted := make([]atomic.Int64, seconds+1), make([]atomic.Int64, seconds+1)
		var clients sync.WaitGroup
		for i := range o.clients {
			fleet := health.New(memory, health.Params{Shards: 1, Interval: time.Second, Services: 10, Rare: 1.5}, silent{})
			set, err := breaker.New(breaker.WithShared(fleet.Circuits()))
			if err != nil {
				t.Fatal(err)
			}
			rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
				now := time.Since(start)
				sent[now/time.Second].Add(1)
				code := 200
				if o.fails(i, now) {
					code = 500
				}
				return &http.Response{StatusCode: code, Body: http.NoBody, Request: req}, nil
			}))
			fleet.Circuits().Service("api.test")
			clients.Go(func() {
				defer fleet.Close(context.Background())
				for {
					now := time.Since(start)
					time.Sleep(min(time.Duration(rand.ExpFloat64()/o.rate*float64(time.Second)), length-now))
					if now = time.Since(start); now >= length {
						return
					}
					asked[now/time.Second].Add(1)
					req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://api.test/", nil)
					if _, err := rt.RoundTrip(req); errors.Is(err, breaker.ErrOpen) {
						refused[now/time.Second].Add(1)
						if !o.fails(i, now) {
							wasted[now/time.Second].Add(1)
						}
					}
				}
			})
		}
		clients.Wait()
		for i := range seconds {
			c.asked, c.sent = append(c.asked, int(asked[i].Load())), append(c.sent, int(sent[i].Load()))
			c.refused, c.wasted = append(c.refused, int(refused[i].Load())), append(c.wasted, int(wasted[i].Load()))
		}
	})
	return c
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

// In an outage of a service that rare callers call, it gets a few probes per second from
// all of them, and all are back within 5 s. That is so however long it lasts, and not too
// many come at once.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		clients int
		rate    float64
		lasts   int // seconds
	}{{200, 0.5, 20}, {60, 0.5, 90}, {12, 5, 20}} {
		t.Run(fmt.Sprintf("%d at %v for %d s", tt.clients, tt.rate, tt.lasts), func(t *testing.T) {
			t.Parallel()
			const from = 15
			end := from + tt.lasts
			c := outage{tt.clients, tt.rate, func(_ int, at time.Duration) bool {
				return at >= from*time.Second && at < time.Duration(end)*time.Second
			}}.play(t, time.Duration(end+20)*time.Second)
			t.Logf("sent %v\nwasted %v", c.sent, c.wasted)
			opened := from
			for opened < end && c.sent[opened] > 12 {
				opened++
			}
			if opened > from+10 {
				t.Fatalf("opened after %d s", opened-from)
			}
			// By chance two seconds in a row have none in one of 37 outages of 90 s. That
			// it comes to that twice, or to three in a row, is one of 1,000.
			pairs := 0
			for i := opened + 2; i+1 < end; i++ {
				if c.sent[i] > 16 {
					t.Errorf("second %d: %d probes sent, want about 4", i, c.sent[i])
				}
				if sum(c.sent[i:i+2]) == 0 {
					pairs++
				}
			}
			if pairs > 1 {
				t.Errorf("%d times two seconds in a row without a probe, want once at most: %v", pairs, c.sent[opened+2:end])
			}
			// They come by chance: 4.9 in a long outage is as unlikely as 6.7 in a short one.
			seconds := float64(end - opened - 2)
			if per := float64(sum(c.sent[opened+2:end])) / seconds; per > 4+4*math.Sqrt(4/seconds) {
				t.Errorf("%.1f probes per second in %.0f s, want about 4", per, seconds)
			}
			if n := sum(c.refused[:from]) + sum(c.refused[end+5:]); n > 0 {
				t.Errorf("%d refused before the outage or more than 5 s after it", n)
			}
			usual := float64(tt.clients) * tt.rate
			for i := end; i < end+15; i++ {
				if n := float64(c.sent[i]); n > 1.3*usual+4*math.Sqrt(usual) {
					t.Errorf("%v sent in second %d after the outage, usually %.0f", n, i-end, usual)
				}
			}
		})
	}
}

// Nothing is refused that would succeed where only a part fails.
func TestNoFalseOutage(t *testing.T) {
	t.Parallel()
	share := func(percent int) func(int, time.Duration) bool {
		return func(int, time.Duration) bool { return rand.IntN(100) < percent }
	}
	ill := func(n int) func(int, time.Duration) bool {
		return func(client int, _ time.Duration) bool { return client < n }
	}
	for name, o := range map[string]outage{
		"half of the replicas fail": {100, 0.5, share(50)},
		"nine of ten fail":          {100, 0.5, share(90)},
		"1 of 3 poisoned":           {3, 5, ill(1)},
		"20 of 100 poisoned":        {100, 1, ill(20)},
		"90 of 100 poisoned":        {100, 1, ill(90)},
		"a burst of 2 s":            {100, 0.5, func(_ int, at time.Duration) bool { return at > 20*time.Second && at < 22*time.Second }},
		"calls are too seldom":      {20, 0.2, share(100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := o.play(t, 40*time.Second)
			if n := sum(c.wasted); n > 0 {
				t.Errorf("%d of %d requests were refused that would have succeeded: want none", n, sum(c.asked))
			}
		})
	}
}
