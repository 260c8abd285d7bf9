package redisrate_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(instanceEnv) != "" {
		instanceMain()
		return
	}
	goleak.VerifyTestMain(m)
}

var hourly = middleware.Quota{Requests: 5, Per: time.Hour}

func limiter(t testing.TB, addr string, q middleware.Quota, opts ...redisrate.Option) *redisrate.Limiter {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	// A generous timeout: only the tests of an absent Redis want to see it pass.
	l, err := redisrate.New(client, q, append([]redisrate.Option{redisrate.WithTimeout(10 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// servers are an embedded Redis and, where there is one, a real one.
func servers(t *testing.T, f func(t *testing.T, addr string)) {
	t.Run("embedded", func(t *testing.T) { f(t, miniredis.RunT(t).Addr()) })
	t.Run("real", func(t *testing.T) { f(t, startRedis(t)) })
}

// startRedis starts a real one, if it is installed.
func startRedis(t *testing.T) (addr string) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("EVENKEEL_REDIS") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for end := time.Now().Add(10 * time.Second); client.Ping(t.Context()).Err() != nil; {
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
	}
	return addr
}

func TestInstancesShareAQuota(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		one, other := limiter(t, addr, hourly), limiter(t, addr, hourly)
		for i := range 5 {
			l := one
			if i%2 == 1 {
				l = other
			}
			if g := l.Take(t.Context(), "k"); !g.OK || g.Remaining != 4-i || g.RetryIn != 0 || g.Reset <= 0 {
				t.Errorf("request %d: %+v, want it granted and %d left", i, g, 4-i)
			}
		}
		for _, l := range []*redisrate.Limiter{one, other} {
			if g := l.Take(t.Context(), "k"); g.OK || g.RetryIn <= 0 || g.RetryIn > 12*time.Minute || g.Remaining != 0 {
				t.Errorf("over the quota: %+v, want it refused for at most 12 minutes", g)
			}
		}
		if g := one.Take(t.Context(), "another"); !g.OK {
			t.Errorf("another key: %+v", g)
		}
	})
}

func TestGrantsNeverExceedTheQuota(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		q := middleware.Quota{Requests: 50, Per: 24 * time.Hour}
		var granted atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			l := limiter(t, addr, q)
			for range 4 {
				wg.Go(func() {
					for range 25 {
						if l.Take(t.Context(), "k").OK {
							granted.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		if granted.Load() != 50 {
			t.Errorf("%d granted, want 50", granted.Load())
		}
	})
}

func TestStoredNumber(t *testing.T) {
	srv := miniredis.RunT(t)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	srv.SetTime(now)
	l := limiter(t, srv.Addr(), hourly, redisrate.WithPrefix("p:"))
	l.Take(t.Context(), "k")
	if got, _ := srv.Get("p:k"); got != fmt.Sprint(now.Add(12*time.Minute).UnixMicro(), ".000") || srv.TTL("p:k") != 12*time.Minute {
		t.Errorf("stored %s for %v", got, srv.TTL("p:k"))
	}
	// The clock is set back, or the number is from one that was ahead.
	srv.SetTime(now.Add(-48 * time.Hour))
	if g := l.Take(t.Context(), "k"); g.OK || g.RetryIn != 12*time.Minute {
		t.Errorf("after the clock was set back: %+v, want to wait for one interval", g)
	}
	// What was corrected is kept, or the key would be locked out until the clock
	// has caught up.
	if got, _ := srv.Get("p:k"); got != fmt.Sprint(now.Add(-47*time.Hour).UnixMicro(), ".000") || srv.TTL("p:k") != time.Hour {
		t.Errorf("after the clock was set back: stored %s for %v", got, srv.TTL("p:k"))
	}
	srv.Set("p:k", "nonsense")
	if g := limiter(t, srv.Addr(), hourly, redisrate.WithPrefix("p:")).Take(t.Context(), "k"); !g.OK || g.Remaining != 4 {
		t.Errorf("over nonsense: %+v, want a whole quota", g)
	}
}

// Quotas are kept to the nanosecond, though the clock of Redis shows microseconds.
func TestFineQuota(t *testing.T) {
	srv := miniredis.RunT(t)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for i, tt := range []struct {
		perSecond int
		want      []int // in each of some times of 5 µs
	}{
		{1_000_000, []int{10, 5, 5, 5, 5}}, {700_000, []int{10, 3, 4, 3, 4}},
		{300_000, []int{10, 1, 2, 1, 2}}, {900_000, []int{10, 4, 5, 4, 5}},
	} {
		for j, want := range tt.want {
			srv.SetTime(now.Add(time.Duration(j) * 5 * time.Microsecond))
			got := 0
			for range 11 {
				// A limiter that knows nothing, since this goes by another clock.
				l := limiter(t, srv.Addr(), middleware.Quota{Requests: tt.perSecond, Per: time.Second, Burst: 10})
				if g := l.Take(t.Context(), fmt.Sprint(i)); g.OK {
					got++
				} else if g.RetryIn <= 0 || g.RetryIn > 4*time.Microsecond {
					t.Errorf("%d per second: %+v", tt.perSecond, g)
				}
			}
			if got != want {
				t.Errorf("%d per second: %d granted at %d µs, want %d", tt.perSecond, got, j*5, want)
			}
		}
	}
}

// Without Redis each instance counts for itself, and asks again now and then.
func TestRedisAway(t *testing.T) {
	srv := miniredis.RunT(t)
	var failures atomic.Int64
	l := limiter(t, srv.Addr(), hourly, redisrate.WithPause(time.Nanosecond), redisrate.WithObserver(redisrate.Observer{OnError: func(err error) {
		if failures.Add(1); !strings.HasPrefix(err.Error(), "redisrate: ") {
			t.Errorf("error %q", err)
		}
	}}))
	srv.SetError("LOADING Redis is loading the dataset in memory")
	for i := range 5 {
		if g := l.Take(t.Context(), "k"); !g.OK || g.Remaining != 4-i {
			t.Errorf("request %d without Redis: %+v", i, g)
		}
	}
	if g := l.Take(t.Context(), "k"); g.OK {
		t.Error("a sixth request was granted")
	}
	if failures.Load() == 0 {
		t.Error("nobody was told")
	}
	srv.SetError("")
	for end := time.Now().Add(10 * time.Second); !srv.Exists("evenkeel:rate:other"); l.Take(t.Context(), "other") {
		if time.Now().After(end) {
			t.Fatal("Redis is not asked again")
		}
	}
}

// A lossy connection breaks when the reply of the script has come.
type lossy struct {
	net.Conn
	taking atomic.Bool
}

func (c *lossy) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "evalsha") {
		c.taking.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.taking.Load() {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// A connection that breaks after the script has run takes one request, not one
// for each time that a client would send it again.
func TestLostReplies(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		direct := limiter(t, addr, hourly)
		direct.Take(t.Context(), "so that the script is there")
		client := redis.NewClient(&redis.Options{
			MinRetryBackoff: time.Millisecond, MaxRetryBackoff: time.Millisecond, ReadTimeout: time.Minute,
			Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				return &lossy{Conn: conn}, err
			},
		})
		defer client.Close()
		l, err := redisrate.New(client, hourly, redisrate.WithTimeout(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if g := l.Take(t.Context(), "k"); !g.OK {
				t.Errorf("%+v, want it granted", g)
			}
		}
		if g := direct.Take(t.Context(), "k"); g.Remaining != 2 {
			t.Errorf("%d remain of 5 after 3 requests, want 2", g.Remaining)
		}
	})
}

// A key that holds something else is left alone and counted here; the others
// are shared as before.
func TestForeignKey(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		client.RPush(t.Context(), "evenkeel:rate:list", "x")
		l := limiter(t, addr, hourly, redisrate.WithPause(time.Hour))
		for i := range 20 {
			if g := l.Take(t.Context(), "list"); g.OK != (i < 5) {
				t.Errorf("request %d: %+v, want 5 granted", i, g)
			}
			l.Take(t.Context(), fmt.Sprint("other", i))
		}
		if n := client.Exists(t.Context(), "evenkeel:rate:other19").Val(); n != 1 {
			t.Error("another key is not shared")
		}
		if n := client.LLen(t.Context(), "evenkeel:rate:list").Val(); n != 1 {
			t.Errorf("the list has %d items, want what it had", n)
		}
	})
}

// What is stored of a long key is its sum.
func TestLongKey(t *testing.T) {
	srv := miniredis.RunT(t)
	l := limiter(t, srv.Addr(), hourly)
	for _, key := range []string{strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20) + "y", strings.Repeat("x", 65), strings.Repeat("x", 64)} {
		if g := l.Take(t.Context(), key); !g.OK || g.Remaining != 4 {
			t.Errorf("a key of %d bytes: %+v, want a quota of its own", len(key), g)
		}
	}
	for _, key := range srv.Keys() {
		if len(key) > len("evenkeel:rate:")+65 {
			t.Errorf("a key of %d bytes is stored", len(key))
		}
	}
	if n := len(srv.Keys()); n != 4 {
		t.Errorf("%d keys are stored, want 4", n)
	}
}

func TestNoLimit(t *testing.T) {
	for _, q := range []middleware.Quota{
		{Requests: math.MaxInt, Per: time.Second}, {Requests: 1, Per: time.Hour, Burst: math.MaxInt},
	} {
		srv := miniredis.RunT(t)
		l := limiter(t, srv.Addr(), q, redisrate.WithMaxKeys(math.MaxInt))
		for range 100 {
			if g := l.Take(t.Context(), "k"); !g.OK || g.RetryIn != 0 {
				t.Fatalf("%+v: %+v, want it granted", q, g)
			}
		}
		if len(srv.Keys()) != 0 {
			t.Errorf("%+v: stored %v", q, srv.Keys())
		}
	}
}

// A Redis that accepts connections and says nothing, and a client that does not
// heed contexts: requests are answered, and nothing is left behind.
func TestRedisHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lim := limiter(t, l.Addr().String(), middleware.Quota{Requests: 5000, Per: time.Hour}, redisrate.WithTimeout(time.Millisecond))
	var wg sync.WaitGroup
	for range 2000 {
		wg.Go(func() {
			if !lim.Take(t.Context(), "k").OK {
				t.Error("refused")
			}
		})
	}
	wg.Wait()
}

// The request's own end says nothing about Redis.
func TestClientGone(t *testing.T) {
	srv := miniredis.RunT(t)
	l := limiter(t, srv.Addr(), hourly, redisrate.WithObserver(redisrate.Observer{OnError: func(err error) { t.Error(err) }}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if g := l.Take(ctx, "k"); !g.OK || !srv.Exists("evenkeel:rate:k") {
		t.Errorf("%+v", g)
	}
}

func TestMistakes(t *testing.T) {
	_, err := redisrate.New(nil, middleware.Quota{}, nil, redisrate.WithTimeout(0), redisrate.WithPause(-1), redisrate.WithMaxKeys(-1))
	for _, want := range []string{"WithTimeout(0s)", "WithPause(-1ns)", "WithMaxKeys(-1)", "want a client", "Requests 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	for _, client := range []redis.UniversalClient{nil, (*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil)} {
		if _, err := redisrate.New(client, hourly); err == nil || err.Error() != "redisrate: New: want a client, not nil" {
			t.Errorf("%T that is nil: error %v", client, err)
		}
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, q := range []middleware.Quota{
		{Requests: math.MaxInt - 1, Per: time.Second}, {Requests: math.MaxInt32 - 1, Per: time.Second}, {Requests: math.MaxInt/2 + 1, Per: time.Second},
		{Requests: 1, Per: time.Hour, Burst: math.MaxInt - 1}, {Requests: 2e6, Per: time.Second},
	} {
		if _, err := redisrate.New(client, q); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("%+v: error %v, want one that says what is wanted", q, err)
		}
	}
}
