package middleware_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// The greatest numbers, and those near them, mean that nothing is limited: all
// of a crowd are served at once, and the event says that there is no limit.
func TestGreatestNumbersMeanNoLimit(t *testing.T) {
	const crowd = 100
	numbers := []int64{math.MaxInt, math.MaxInt - 1, math.MaxInt / 2, math.MaxInt/2 + 1, math.MaxUint32 + 1, math.MaxUint32, math.MaxInt32 + 1, math.MaxInt32}
	for _, number := range numbers {
		n := int(min(number, math.MaxInt))
		if n < math.MaxInt32 {
			continue // MaxInt-1 and MaxInt/2 of 32 bits are a limit, though nobody reaches it
		}
		for name, opts := range map[string][]middleware.Option{
			"WithConcurrency":                 {middleware.WithConcurrency(n)},
			"WithConcurrency, WithShedding":   {middleware.WithConcurrency(n), middleware.WithShedding(middleware.Shedding{})},
			"MinConcurrency":                  {middleware.WithShedding(middleware.Shedding{MinConcurrency: n})},
			"MinConcurrency, MaxConcurrency":  {middleware.WithShedding(middleware.Shedding{MinConcurrency: n, MaxConcurrency: n})},
			"MinConcurrency and a wait of it": {middleware.WithShedding(middleware.Shedding{MinConcurrency: n, MaxWait: time.Duration(n), MaxRetryAfter: time.Duration(n)})},
		} {
			synctest.Test(t, func(t *testing.T) {
				shed, limited := 0, 0
				events := make(chan middleware.Event, crowd)
				h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) }, append(opts, middleware.WithObserver(middleware.Observer{
					OnRequest: func(_ context.Context, e middleware.Event) { events <- e },
				}))...)
				for range crowd {
					go serve(h, "GET")
				}
				start := time.Now()
				for range crowd {
					if e := <-events; e.Shed != middleware.ShedNone || e.QueueWait > 0 {
						shed++
					} else if e.Limit != 0 {
						limited++
					}
				}
				if took := time.Since(start); shed > 0 || limited > 0 || took != time.Second {
					t.Errorf("%s of %d: %d refused or late, %d with a limit, all done in %v; want none, none and 1s", name, n, shed, limited, took)
				}
			})
		}
	}
}

// No limit stays none where clients give up, which else would be looked into.
func TestNoLimitWhereClientsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late atomic.Int64
		h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(100 * time.Millisecond) },
			middleware.WithShedding(middleware.Shedding{MinConcurrency: math.MaxInt}),
			middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
				if e.Shed != middleware.ShedNone || e.QueueWait > 0 {
					late.Add(1)
				}
			}}))
		for i := range 2000 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i%2*1000)*time.Millisecond)
			go func() {
				defer cancel()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			}()
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := late.Load(); n > 0 {
			t.Errorf("%d of 2000 waited or were refused, want none", n)
		}
	})
}

// A bound that is only an upper one leaves the limit to be found, whatever it
// is, and the greatest wait is one that ends when there is room.
func TestGreatestNumbersOfABoundAndAWait(t *testing.T) {
	for _, n := range []int{math.MaxInt, math.MaxInt/2 + 1, math.MaxInt32, math.MaxInt / 4} {
		synctest.Test(t, func(t *testing.T) {
			s := middleware.Shedding{MaxConcurrency: n, MaxWait: time.Duration(n), MaxRetryAfter: time.Duration(n), SchedulerLatency: time.Duration(n)}
			h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Millisecond) }, middleware.WithShedding(s))
			codes := make(chan string)
			const rounds, crowd = 20, 100
			go func() {
				for range rounds {
					for range crowd {
						go func() {
							resp := serve(h, "GET")
							codes <- fmt.Sprint(resp.StatusCode)
						}()
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
			for range rounds * crowd {
				if got := <-codes; got != "200" {
					t.Errorf("%d: %s, want 200", n, got)
				}
			}
			time.Sleep(time.Second) // until the last goroutine has ended
		})
	}
}

// A minimum is kept from the first request on.
func TestMinConcurrencyHoldsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const least = 500
		waited := make(chan time.Duration, least)
		h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) },
			middleware.WithShedding(middleware.Shedding{MinConcurrency: least}),
			middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { waited <- e.QueueWait }}))
		for range least {
			go serve(h, "GET")
		}
		for range least {
			if got := <-waited; got > 0 {
				t.Fatalf("one waited for %v, want room for all", got)
			}
		}
	})
}
