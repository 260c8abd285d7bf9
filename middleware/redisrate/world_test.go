package redisrate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
)

// A world is a Redis that exists in the time of a test, with one key that
// is counted, and what
// lies between it and the instances.
type world struct {
	mu    sync.Mutex
	full  int64 // as the key has it, in nanoseconds; 0: none
	clock time.Duration
	calls atomic.Int64

	// there and back are how long a call is on its way, and fails what it ends
	// with instead of being sent.
	there, back func(since time.Duration) time.Duration
	fails       func(since time.Duration) error
	born        time.Time
}

// take does what the script does.
func (w *world) take(interval, burst, over, owed int64) []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().Add(w.clock).UnixNano()
	full := max(w.full, now)
	changed := owed > 0
	if full > now+burst+over {
		full, changed = now+burst, true
	}
	if owed > 0 {
		full = min(full+owed*interval, now+burst+over)
	}
	granted, wait := int64(1), int64(0)
	if full+interval <= now+burst {
		full, changed = full+interval, true
	} else {
		granted, wait = 0, full+interval-burst-now
	}
	if changed {
		w.full = full
	}
	return []any{granted, full - now, wait}
}

// The world is a hook of the client, below which there is no network.
func (w *world) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w *world) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (w *world) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.calls.Add(1)
		since := time.Since(w.born)
		if w.fails != nil {
			if err := w.fails(since); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					<-ctx.Done()
				}
				cmd.SetErr(err)
				return err
			}
		}
		if w.there != nil {
			time.Sleep(w.there(since))
		}
		if cmd.Args()[3] != "evenkeel:rate:k" {
			cmd.(interface{ SetVal(any) }).SetVal([]any{int64(1), int64(0), int64(0)})
			return nil
		}
		reply := w.take(number(cmd, 4), number(cmd, 5), number(cmd, 6), number(cmd, 7))
		if w.back != nil {
			time.Sleep(w.back(since))
		}
		cmd.(interface{ SetVal(any) }).SetVal(reply)
		return nil
	}
}

func number(cmd redis.Cmder, i int) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(cmd.Args()[i]), 10, 64)
	return n
}

// set sets the clock.
func (w *world) set(jump time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = jump
}

// instances of a service in the world.
func (w *world) instances(t *testing.T, n int, q middleware.Quota) []*redisrate.Limiter {
	w.born = time.Now()
	var all []*redisrate.Limiter
	for range n {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		t.Cleanup(func() { client.Close() })
		client.AddHook(w)
		l, err := redisrate.New(client, q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// load has each instance called once in a period, and returns how many of the
// requests were granted and how long the longest waited after the first 12 s.
func load(all []*redisrate.Limiter, every, length time.Duration) (asked, granted int64, waited time.Duration) {
	var wg sync.WaitGroup
	var ok, n, longest atomic.Int64
	begin := time.Now()
	for i, l := range all {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			time.Sleep(every * time.Duration(i) / time.Duration(len(all)))
			for time.Since(begin) < length {
				time.Sleep(time.Duration((0.5 + r.Float64()) * float64(every)))
				wg.Go(func() {
					start := time.Now()
					n.Add(1)
					if l.Take(context.Background(), "k").OK {
						ok.Add(1)
					}
					if start.Sub(begin) > 12*time.Second {
						for took := int64(time.Since(start)); ; {
							if was := longest.Load(); took <= was || longest.CompareAndSwap(was, took) {
								break
							}
						}
					}
				})
			}
		})
	}
	wg.Wait()
	time.Sleep(10 * time.Second) // so that calls end by which nobody waits
	return n.Load(), ok.Load(), time.Duration(longest.Load())
}

var (
	errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	errHung    = &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
)

// between is a value from 10 s on, for a time.
func between[T any](length time.Duration, during T) func(time.Duration) T {
	return func(since time.Duration) (v T) {
		if since >= 10*time.Second && since < 10*time.Second+length {
			return during
		}
		return v
	}
}

// until10s is the rest of a pause that Redis makes at 10 s.
func pauseAt10s(length time.Duration) func(time.Duration) time.Duration {
	return func(since time.Duration) time.Duration {
		if since >= 10*time.Second && since < 10*time.Second+length {
			return 10*time.Second + length - since
		}
		return 0
	}
}

var worlds = []struct {
	name string
	make func() *world
}{
	{"healthy", func() *world { return &world{} }},
	{"a pause of 80 ms", func() *world { return &world{there: pauseAt10s(80 * time.Millisecond)} }},
	{"a pause of 150 ms", func() *world { return &world{there: pauseAt10s(150 * time.Millisecond)} }},
	{"a pause of 1 s", func() *world { return &world{there: pauseAt10s(time.Second)} }},
	{"a pause of 5 s", func() *world { return &world{there: pauseAt10s(5 * time.Second)} }},
	{"an answer in twenty is late", func() *world {
		n := new(atomic.Int64)
		return &world{back: func(time.Duration) time.Duration {
			if n.Add(1)%20 == 0 {
				return 70 * time.Millisecond
			}
			return 0
		}}
	}},
	{"far away from then on", func() *world { return &world{back: between(time.Hour, 60*time.Millisecond)} }},
	{"half a second away for 10 s", func() *world { return &world{there: between(10*time.Second, 500*time.Millisecond)} }},
	{"refuses connections for 5 s", func() *world { return &world{fails: between[error](5*time.Second, errRefused)} }},
	{"refuses connections for 30 ms", func() *world { return &world{fails: between[error](30*time.Millisecond, errRefused)} }},
	{"hangs for 5 s", func() *world { return &world{fails: between[error](5*time.Second, errHung)} }},
}
