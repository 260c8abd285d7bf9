package redisrate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/redis/go-redis/v9"
)

// Whatever happens to Redis for a while, a client that sends too much gets its
// quota, and nearly no more.
func TestTroublesKeepTheQuota(t *testing.T) {
	for _, q := range []middleware.Quota{
		{Requests: 100, Per: time.Second},
		{Requests: 100, Per: time.Second, Burst: 10},
		{Requests: 6000, Per: time.Minute},
	} {
		for _, tt := range worlds {
			t.Run(fmt.Sprintf("%+v/%s", q, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := tt.make()
					_, granted, waited := load(w.instances(t, 8, q), 25*time.Millisecond, 30*time.Second)
					burst := q.Burst
					if burst == 0 {
						burst = q.Requests
					}
					allowed := int64(burst) + 3000
					t.Logf("%d granted of %d, %d calls, the longest waited %v", granted, allowed, w.calls.Load(), waited)
					if granted*100 > allowed*104 || granted*100 < allowed*80 {
						t.Errorf("%d granted, want about %d", granted, allowed)
					}
					if waited > 50*time.Millisecond {
						t.Errorf("a request waited for %v", waited)
					}
				})
			})
		}
	}
}

// A client within its quota does not notice, but where calls that Redis held up
// come to more than a small burst.
func TestTroublesSpareWhoKeepsTheQuota(t *testing.T) {
	for _, tt := range []struct {
		quota   middleware.Quota
		refused int64 // per cent, at most
	}{
		{middleware.Quota{Requests: 100, Per: time.Second}, 0},
		{middleware.Quota{Requests: 100, Per: time.Second, Burst: 30}, 3},
		{middleware.Quota{Requests: 6000, Per: time.Minute}, 0},
	} {
		for _, in := range worlds {
			t.Run(fmt.Sprintf("%+v/%s", tt.quota, in.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := in.make()
					asked, granted, _ := load(w.instances(t, 8, tt.quota), 100*time.Millisecond, 30*time.Second)
					if refused := asked - granted; refused*100 > asked*tt.refused {
						t.Errorf("%d of %d refused, which are 80%% of the quota", refused, asked)
					}
				})
			})
		}
	}
}

// Without Redis for long each instance lets through the quota, and no more.
func TestLostForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{fails: func(time.Duration) error { return errRefused }}
		q := middleware.Quota{Requests: 100, Per: time.Second}
		_, granted, _ := load(w.instances(t, 3, q), time.Millisecond, 30*time.Second)
		if want := int64(3 * (100 + 3000)); granted > want || granted < want*99/100 {
			t.Errorf("%d granted by 3 instances in 30 s, want %d", granted, want)
		}
		if calls := w.calls.Load(); calls > 3*(300+31) {
			t.Errorf("%d calls to a Redis that is lost, want one a second from each", calls)
		}
	})
}

// The first answers take long, since processes that share too few processors
// make their connections: requests wait, and none is granted beyond the quota.
func TestSlowStart(t *testing.T) {
	for _, first := range []time.Duration{60 * time.Millisecond, 300 * time.Millisecond, 900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{back: func(since time.Duration) time.Duration { return max(first-since, time.Millisecond) }}
			q := middleware.Quota{Requests: 100, Per: time.Second}
			_, granted, _ := load(w.instances(t, 8, q), 10*time.Millisecond, 5*time.Second)
			if granted > 601 || granted < 580 {
				t.Errorf("the first answers after %v: %d granted in 5 s, want 600", first, granted)
			}
		})
	}
}

// A Redis that is away from the start is waited for once, and one that refuses
// connections is not.
func TestStartWithoutRedis(t *testing.T) {
	for _, tt := range []struct {
		err   error
		waits []time.Duration
	}{
		{errHung, []time.Duration{time.Second, 50 * time.Millisecond}},
		{errRefused, []time.Duration{0, 0}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{fails: func(time.Duration) error { return tt.err }}
			l := w.instances(t, 1, middleware.Quota{Requests: 100, Per: time.Second})[0]
			time.Sleep(time.Minute)
			for i, want := range tt.waits {
				start := time.Now()
				if g := l.Take(context.Background(), "k"); !g.OK || time.Since(start) != want {
					t.Errorf("request %d with %v: %+v after %v, want it granted after %v", i, tt.err, g, time.Since(start), want)
				}
			}
			time.Sleep(5 * time.Second) // so that calls end by which nobody waits
		})
	}
}

// One key that is flooded costs Redis no more calls than its quota has requests,
// from each instance.
func TestFloodOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{there: func(time.Duration) time.Duration { return 200 * time.Microsecond }}
		q := middleware.Quota{Requests: 50, Per: time.Second}
		asked, granted, _ := load(w.instances(t, 4, q), time.Millisecond, 10*time.Second)
		if granted < 540 || granted > 552 {
			t.Errorf("%d of %d granted, want 550", granted, asked)
		}
		if calls := w.calls.Load(); calls > 4*(50+510) {
			t.Errorf("%d calls in 10 s, want at most 50 a second from each of 4 instances", calls)
		}
	})
}

// A request that does not get its answer in time is decided at once, and no
// other than that one.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late atomic.Bool
		w := &world{back: func(time.Duration) time.Duration {
			if late.Load() {
				return 90 * time.Millisecond
			}
			return time.Millisecond
		}}
		all := w.instances(t, 2, middleware.Quota{Requests: 4, Per: time.Hour})
		take := func(i int, want middleware.Grant, waited time.Duration) {
			t.Helper()
			start := time.Now()
			got := all[i].Take(context.Background(), "k")
			if took := time.Since(start); got.OK != want.OK || got.Remaining != want.Remaining || took != waited {
				t.Errorf("%+v after %v, want %+v after %v", got, took, want, waited)
			}
		}
		for _, l := range all {
			l.Take(context.Background(), "another, so that there is a connection")
		}
		late.Store(true)
		// Redis has counted it, and so it is not counted again.
		take(0, middleware.Grant{OK: true, Remaining: 3}, 50*time.Millisecond)
		time.Sleep(time.Second)
		late.Store(false)
		take(0, middleware.Grant{OK: true, Remaining: 2}, time.Millisecond)
		take(0, middleware.Grant{OK: true, Remaining: 1}, time.Millisecond)
		take(0, middleware.Grant{OK: true, Remaining: 0}, time.Millisecond)
		// One that knows nothing of the key grants what Redis would not.
		late.Store(true)
		take(1, middleware.Grant{OK: true, Remaining: 3}, 50*time.Millisecond)
		time.Sleep(2 * time.Second)
		// It then knows, and Redis is told: one request later than without.
		late.Store(false)
		take(1, middleware.Grant{}, time.Millisecond)
		take(1, middleware.Grant{}, 0)
		time.Sleep(15 * time.Minute)
		take(0, middleware.Grant{}, time.Millisecond)
		time.Sleep(15 * time.Minute)
		take(0, middleware.Grant{OK: true}, time.Millisecond)
	})
}

// The clock of Redis jumps, and stays or comes back: a client that sends twice
// what it may loses or gains at most one quota.
func TestClockOfRedis(t *testing.T) {
	q := middleware.Quota{Requests: 100, Per: 10 * time.Second}
	for _, jump := range []time.Duration{
		-time.Second, -5 * time.Second, -10 * time.Second, -11 * time.Second, -time.Minute, -24 * time.Hour,
		time.Second, 10 * time.Second, time.Minute, 24 * time.Hour,
	} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/back %v", jump, back), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{}
					all := w.instances(t, 4, q)
					time.AfterFunc(20*time.Second, func() { w.set(jump) })
					if back {
						time.AfterFunc(35*time.Second, func() { w.set(0) })
					}
					_, granted, _ := load(all, 200*time.Millisecond, time.Minute)
					if want := int64(100 + 600); granted < want-105 || granted > want+105 {
						t.Errorf("%d granted in a minute, want %d and at most one quota more or less", granted, want)
					}
				})
			})
		}
	}
}

// The world is like Redis: what it says is what the script says.
func TestWorldIsLikeTheScript(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		r := rand.New(rand.NewPCG(7, 7))
		script, err := os.ReadFile("take.lua")
		if err != nil {
			t.Fatal(err)
		}
		// A day is so long that a test takes no time in comparison.
		const day = int64(24 * time.Hour)
		for range 300 {
			burst := day * (1 + r.Int64N(5))
			over := day * r.Int64N(5)
			w := &world{}
			now, err := client.Time(t.Context()).Result()
			if err != nil {
				t.Fatal(err)
			}
			if ahead := day * r.Int64N(12); ahead > 0 {
				w.full = now.UnixNano() + ahead - day/2
				client.Set(t.Context(), "k", w.full/1000, 0)
			} else {
				client.Del(t.Context(), "k")
			}
			for range 4 {
				owed := max(0, r.Int64N(8)-4)
				want := w.take(day, burst, over, owed)
				got, err := client.Eval(t.Context(), string(script), []string{"k"}, day, burst, over, owed).Int64Slice()
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if d := want[i].(int64) - got[i]; d > day/100 || d < -day/100 {
						t.Fatalf("burst %d, over %d, owed %d: the script says %v, the world %v", burst, over, owed, got, want)
					}
				}
			}
		}
	})
}

// A key that is deleted in Redis has its full quota again within a second, even
// if it was refused.
func TestDeletedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		l := w.instances(t, 1, middleware.Quota{Requests: 1, Per: time.Hour})[0]
		for range 3 {
			l.Take(context.Background(), "k")
		}
		w.mu.Lock()
		w.full = 0
		w.mu.Unlock()
		time.Sleep(time.Second)
		if g := l.Take(context.Background(), "k"); !g.OK {
			t.Errorf("%+v, want it granted", g)
		}
	})
}
