package middleware_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// Whatever the numbers, a quota is kept to the letter, has no limit because it
// says so, or is an error that says what would be right.
func TestQuotaNumbers(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name    string
		quota   middleware.Quota
		granted int // of 100 at once; -1: an error
	}{
		{"no limit of requests", middleware.Quota{Requests: math.MaxInt, Per: time.Second}, 100},
		{"no limit of requests, a burst", middleware.Quota{Requests: math.MaxInt, Per: time.Second, Burst: 1}, 100},
		{"no limit of a burst", middleware.Quota{Requests: 1, Per: time.Hour, Burst: math.MaxInt}, 100},
		{"no limit of either", middleware.Quota{Requests: math.MaxInt, Per: math.MaxInt64, Burst: math.MaxInt}, 100},
		{"nearly no limit of requests", middleware.Quota{Requests: math.MaxInt - 1, Per: time.Second}, -1},
		{"nearly no limit of requests, for ever", middleware.Quota{Requests: math.MaxInt - 1, Per: math.MaxInt64}, -1},
		{"nearly no limit of a burst", middleware.Quota{Requests: 1, Per: time.Hour, Burst: math.MaxInt - 1}, -1},
		{"half of no limit of requests", middleware.Quota{Requests: math.MaxInt/2 + 1, Per: time.Second}, -1},
		{"half of no limit at once", middleware.Quota{Requests: 1, Per: time.Hour, Burst: math.MaxInt/2 + 1}, -1},
		{"2^31-2 per second", middleware.Quota{Requests: math.MaxInt32 - 1, Per: time.Second}, -1},
		{"2^31-1 per hour", middleware.Quota{Requests: math.MaxInt32, Per: time.Hour}, 100},
		{"2^31-1 at once", middleware.Quota{Requests: 1000, Per: time.Second, Burst: math.MaxInt32}, 100},
		{"one per nanosecond", middleware.Quota{Requests: 1e9, Per: time.Second}, 100},
		{"a tiny window", middleware.Quota{Requests: 1, Per: time.Millisecond, Burst: 7}, 7},
		{"too tiny a window", middleware.Quota{Requests: 1, Per: time.Millisecond - 1}, -1},
		{"99 years", middleware.Quota{Requests: 3, Per: 99 * year}, 3},
		{"a burst of 100 years", middleware.Quota{Requests: 1, Per: year, Burst: 100}, 100},
		{"a burst of 101 years", middleware.Quota{Requests: 1, Per: year, Burst: 101}, -1},
		{"the longest window", middleware.Quota{Requests: 1, Per: math.MaxInt64}, -1},
		{"no time", middleware.Quota{Requests: math.MaxInt}, -1},
		{"less than none at once", middleware.Quota{Requests: math.MaxInt, Per: time.Second, Burst: -1}, -1},
		{"the least number", middleware.Quota{Requests: math.MinInt, Per: time.Second}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, err := middleware.NewLocalLimiter(tt.quota, 0)
				if _, ruleErr := middleware.New(middleware.WithRate(middleware.Rate{Quota: tt.quota})); (err == nil) != (ruleErr == nil) {
					t.Errorf("NewLocal: %v, WithRate: %v", err, ruleErr)
				}
				if (err != nil) != (tt.granted < 0) {
					t.Fatalf("error %v, want %d granted", err, tt.granted)
				}
				if err != nil {
					if !strings.Contains(err.Error(), "want") {
						t.Errorf("error %q does not say what is wanted", err)
					}
					return
				}
				granted := 0
				for range 100 {
					g := l.Take(context.Background(), "k")
					if g.OK {
						granted++
					}
					if g.Remaining < 0 || g.Reset < 0 || g.RetryIn < 0 || g.OK != (g.RetryIn == 0) {
						t.Fatalf("%+v", g)
					}
				}
				if granted != tt.granted {
					t.Errorf("%d of 100 granted, want %d", granted, tt.granted)
				}
			})
		})
	}
}

// Without a limit there is nothing to say to a client.
func TestNoLimitNoHeader(t *testing.T) {
	h := build(t, func(w http.ResponseWriter, r *http.Request) {}, middleware.WithRate(middleware.Rate{
		Quota: middleware.Quota{Requests: math.MaxInt, Per: time.Second},
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || len(w.Header()) != 0 {
		t.Errorf("%d with %v, want 200 and no header", w.Code, w.Header())
	}
}

func TestNumbersOfKeys(t *testing.T) {
	once := middleware.Quota{Requests: 1, Per: time.Hour}
	for _, most := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt32, math.MaxInt/2 + 1} {
		l, err := middleware.NewLocalLimiter(once, most)
		if err != nil {
			t.Fatal(err)
		}
		again := 0
		for range 2 {
			for i := range 1000 {
				if l.Take(context.Background(), fmt.Sprint(i)).OK {
					again++
				}
			}
		}
		if again != 1000 {
			t.Errorf("at most %d keys: %d granted of 1000 keys with one request each, want 1000", most, again)
		}
	}
	for _, most := range []int{-1, math.MinInt} {
		if _, err := middleware.NewLocalLimiter(once, most); err == nil {
			t.Errorf("at most %d keys: no error", most)
		}
	}
}

// What a client sends as its key is not what is kept of it.
func TestLongKeysTakeNoRoom(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, tt := range []struct {
		name string
		key  func(i int) string
	}{
		{"1 MB", func(i int) string { return strings.Repeat("x", 1<<20) + fmt.Sprint(i) }},
		{"300 KB that differ at the start", func(i int) string { return fmt.Sprint(i) + strings.Repeat("é", 150_000) }},
		{"65 bytes", func(i int) string { return fmt.Sprintf("%065d", i) }},
		{"a part of 1 MB", func(i int) string { return (fmt.Sprintf("%040d", i) + strings.Repeat("x", 1<<20))[:40] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := middleware.NewLocalLimiter(middleware.Quota{Requests: 1, Per: time.Hour}, 0)
			if err != nil {
				t.Fatal(err)
			}
			before := heap()
			const keys = 50
			for i := range keys {
				if !l.Take(context.Background(), tt.key(i)).OK {
					t.Fatalf("key %d is taken for another", i)
				}
				if l.Take(context.Background(), tt.key(i)).OK {
					t.Fatalf("key %d is taken for two", i)
				}
			}
			if each := (heap() - before) / keys; each > 1024 {
				t.Errorf("%d bytes for each key, want at most 1024", each)
			}
			runtime.KeepAlive(l)
		})
	}
}

type limiterFunc func(context.Context, string) middleware.Grant

func (f limiterFunc) Take(ctx context.Context, key string) middleware.Grant { return f(ctx, key) }

func TestLimiterThatIsNil(t *testing.T) {
	for _, l := range []middleware.Limiter{(*middleware.LocalLimiter)(nil), limiterFunc(nil)} {
		_, err := middleware.New(middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Second}, Limiter: l}))
		if want := fmt.Sprintf("middleware: WithRate: Limiter: the %T is nil", l); err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
