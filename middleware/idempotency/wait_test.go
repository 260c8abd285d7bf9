package idempotency_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// polled hides that a store is in memory, which wakes those who wait.
type polled struct{ idempotency.Store }

// A duplicate waits for the answer of the request that is running.
func TestWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		store  func() idempotency.Store
		within time.Duration // of the end of the first
	}{
		{"memory", func() idempotency.Store { return idempotency.NewMemory(0) }, 0},
		{"another store", func() idempotency.Store { return polled{idempotency.NewMemory(0)} }, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				k := newKit(t, tt.store(), func(w http.ResponseWriter, _ *http.Request) {
					runs++
					time.Sleep(5 * time.Second)
					w.WriteHeader(201)
				}, idempotency.Wait(10*time.Second))
				start := time.Now()
				var all sync.WaitGroup
				all.Go(func() { k.do(request("k", "{}")) })
				synctest.Wait()
				for range 10 {
					all.Go(func() {
						if resp := k.do(request("k", "{}")); resp.StatusCode != 201 || resp.Header.Get("Idempotent-Replayed") != "true" {
							t.Errorf("got %d with %v, want a replay", resp.StatusCode, resp.Header)
						}
						if took := time.Since(start); took < 5*time.Second || took > 5*time.Second+tt.within {
							t.Errorf("it took %v, want 5s and at most %v", took, tt.within)
						}
					})
				}
				all.Wait()
				if e := k.event(); runs != 1 || e.Outcome != idempotency.OutcomeReplayed || e.Waited < 5*time.Second {
					t.Errorf("%d runs, last event %+v; want one run, and 5s waited", runs, e)
				}
			})
		})
	}
}

// The wait ends: by its time, with the client, with the lease, or since the other
// request has done nothing.
func TestWaitEnds(t *testing.T) {
	for _, memory := range []bool{false, true} {
		for _, tt := range []struct {
			name    string
			lease   time.Duration // of the other request
			after   func(s idempotency.Store, h idempotency.Hold, leave func())
			took    time.Duration
			slack   time.Duration // of a store that is polled
			status  int
			outcome idempotency.Outcome
		}{
			{"in time", time.Hour, nil, 10 * time.Second, 0, 409, idempotency.OutcomeInProgress},
			{"the lease ends", 3 * time.Second, nil, 3 * time.Second, 0, 500, idempotency.OutcomeUnknown},
			{"the client leaves", time.Hour, func(_ idempotency.Store, _ idempotency.Hold, leave func()) {
				time.Sleep(4 * time.Second)
				leave()
			}, 4 * time.Second, 0, 409, idempotency.OutcomeInProgress},
			{"released", time.Hour, func(s idempotency.Store, h idempotency.Hold, _ func()) {
				time.Sleep(4 * time.Second)
				s.Release(context.Background(), h)
			}, 4 * time.Second, time.Second, 200, idempotency.OutcomeFirst},
			{"given up", time.Hour, func(s idempotency.Store, h idempotency.Hold, _ func()) {
				time.Sleep(4 * time.Second)
				h.Lease = 0
				s.Renew(context.Background(), h)
			}, 4 * time.Second, time.Second, 500, idempotency.OutcomeUnknown},
		} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var store idempotency.Store = idempotency.NewMemory(0)
					if !memory {
						store = polled{store}
					}
					k := newKit(t, store, func(http.ResponseWriter, *http.Request) {}, idempotency.Wait(10*time.Second))
					other := claim(t, &faulty{Store: store}, "k", "{}", tt.lease)
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					if tt.after != nil {
						go tt.after(store, other.Hold, leave)
					}
					start := time.Now()
					resp, _ := k.serve(ctx, request("k", "{}"))
					slack := tt.slack
					if memory {
						slack = 0
					}
					if took := time.Since(start); took < tt.took || took > tt.took+slack {
						t.Errorf("it took %v, want %v and at most %v", took, tt.took, slack)
					}
					k.expect("answer", resp, tt.status, tt.outcome)
					if got := k.event().Waited; got < tt.took {
						t.Errorf("waited %v by the event, want %v", got, tt.took)
					}
				})
			})
		}
	}
}

// A duplicate is told to come back when a run has usually ended. One that takes longer
// may take as long again, and no longer than its lease without a sign of life.
func TestWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
			d, err := time.ParseDuration(r.Header.Get("X-Takes"))
			if err != nil {
				t.Error(err)
			}
			time.Sleep(d)
		})
		asks := func(what, key string, want time.Duration) {
			t.Helper()
			resp := k.do(request(key, "{}", "X-Takes", "0s"))
			if got, ok := headers.RetryAfterOf(resp.Header, time.Now()); resp.StatusCode != 409 || !ok || got != want {
				t.Errorf("%s: %d with %v, want 409 with %v", what, resp.StatusCode, got, want)
			}
		}
		run := func(key, takes string) (wait func()) {
			var all sync.WaitGroup
			all.Go(func() { k.do(request(key, "{}", "X-Takes", takes)) })
			synctest.Wait()
			return all.Wait
		}
		wait := run("a", "3s")
		asks("nothing is known", "a", time.Second)
		wait()
		wait = run("b", "11s")
		asks("runs take 3s", "b", 3*time.Second)
		time.Sleep(5 * time.Second)
		asks("for 5s", "b", 5*time.Second)
		wait()
		wait = run("c", "1s")
		asks("runs take 3s, and one took 11s", "c", 4*time.Second)
		wait()
	})
}
