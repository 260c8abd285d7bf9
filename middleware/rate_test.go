package middleware_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		h := build(t, func(w http.ResponseWriter, r *http.Request) { ran++ }, middleware.WithRate(middleware.Rate{
			Name: "calls", Quota: middleware.Quota{Requests: 2, Per: 10 * time.Second},
		}))
		for i, want := range []struct {
			after  time.Duration
			status int
			header map[string]string
		}{
			{0, 200, map[string]string{"Ratelimit": `"calls";r=1;t=5`, "Ratelimit-Policy": `"calls";q=2;w=10`}},
			{0, 200, map[string]string{"Ratelimit": `"calls";r=0;t=10`}},
			{0, 429, map[string]string{"Ratelimit": `"calls";r=0;t=5`, "X-Should-Retry": "true", "Cache-Control": "no-store"}},
			{4 * time.Second, 429, map[string]string{"Ratelimit": `"calls";r=0;t=1`}},
			{time.Second, 200, map[string]string{"Ratelimit": `"calls";r=0;t=10`}},
			{time.Minute, 200, map[string]string{"Ratelimit": `"calls";r=1;t=5`}},
		} {
			time.Sleep(want.after)
			resp := serve(h, "POST")
			if resp.StatusCode != want.status {
				t.Errorf("request %d: %d, want %d", i, resp.StatusCode, want.status)
			}
			for name, value := range want.header {
				if got := resp.Header.Get(name); got != value {
					t.Errorf("request %d: %s: %q, want %q", i, name, got, value)
				}
			}
			if resp.StatusCode == 429 {
				// Not before the quota allows it (the draft, section 5), and
				// not all at the same moment.
				limits, ok := headers.ParseRateLimit(nil, resp.Header.Get("RateLimit"))
				wait, _ := headers.RetryAfterOf(resp.Header, time.Now())
				if seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")); !ok || time.Duration(seconds)*time.Second < limits[0].Reset || wait > 15*time.Second {
					t.Errorf("request %d: Retry-After %d s and %v, reset %v", i, seconds, wait, limits)
				}
			}
		}
		if ran != 4 {
			t.Errorf("the handler ran %d times, want 4", ran)
		}
	})
}

func TestRateKeys(t *testing.T) {
	h := build(t, func(w http.ResponseWriter, r *http.Request) {}, middleware.WithRate(middleware.Rate{
		Quota: middleware.Quota{Requests: 1, Per: time.Hour},
	}), middleware.WithRate(middleware.Rate{
		Name: "tenant", Quota: middleware.Quota{Requests: 100, Per: time.Hour}, Key: func(r *http.Request) string { return r.Header.Get("Tenant") },
	}))
	for _, tt := range []struct {
		addr, tenant string
		status       int
		policy       string
	}{
		{"192.0.2.1:1000", "", 200, `"default";q=1;w=3600`},
		{"192.0.2.1:2000", "", 429, `"default";q=1;w=3600`}, // another port, the same client
		{"192.0.2.2:1000", "a", 200, `"default";q=1;w=3600, "tenant";q=100;w=3600`},
		{"[::ffff:192.0.2.2]:1000", "", 429, `"default";q=1;w=3600`},
		{"[2001:db8::1]:1000", "", 200, `"default";q=1;w=3600`},
		{"[2001:db8::2]:1000", "", 429, `"default";q=1;w=3600`}, // the same /64
		{"[2001:db8:0:1::1]:1000", "", 200, `"default";q=1;w=3600`},
		{"@", "", 200, `"default";q=1;w=3600`}, // a Unix socket
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.addr
		r.Header.Set("Tenant", tt.tenant)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("RateLimit-Policy") != tt.policy {
			t.Errorf("%s: %d, policy %s; want %d, %s", tt.addr, w.Code, w.Header().Get("RateLimit-Policy"), tt.status, tt.policy)
		}
	}
}

func TestLocalLimiter(t *testing.T) {
	// Never more than the quota, however many ask at once.
	l, err := middleware.NewLocalLimiter(middleware.Quota{Requests: 100, Per: time.Hour, Burst: 50}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if l.Take(context.Background(), "k").OK {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if granted.Load() != 50 {
		t.Errorf("%d granted, want 50", granted.Load())
	}
	// Keys are bounded, and the ones that are over their quota are kept.
	l, err = middleware.NewLocalLimiter(middleware.Quota{Requests: 10, Per: time.Hour}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for l.Take(context.Background(), "offender").OK {
	}
	for i := range 20_000 {
		if !l.Take(context.Background(), fmt.Sprint("other", i)).OK {
			t.Fatal("a new key is refused")
		}
	}
	if l.Take(context.Background(), "offender").OK {
		t.Error("an offender was forgotten among keys that had used less")
	}
}

func TestRateMistakes(t *testing.T) {
	_, err := middleware.New(middleware.WithRate(middleware.Rate{Name: "\n", Quota: middleware.Quota{Requests: 0, Per: time.Second}}),
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1}}), middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Second, Burst: -1}}),
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: 1 << 62, Burst: math.MaxInt32 - 1}}),
		middleware.WithPriority(middleware.HeaderPriority))
	for _, want := range []string{"Requests 0: want", "Name: want", "Per 0s: want", "Burst -1: want", "out of range", "WithPriority: want WithShedding"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	_, err = middleware.New(middleware.WithShedding(middleware.Shedding{MinConcurrency: -1, MaxConcurrency: -1, MaxWait: -1, MaxRetryAfter: -1}))
	for _, want := range []string{"MinConcurrency -1: want", "MaxConcurrency -1: want", "MaxWait -1ns: want", "MaxRetryAfter -1ns: want"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// A handler further out may have set a RateLimit of its own, with a policy or
// without.
func TestRateBelowAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrap, err := middleware.New(middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 10, Per: time.Second}}))
		if err != nil {
			t.Fatal(err)
		}
		h := wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for _, tt := range []struct{ limit, policy, wantLimit, wantPolicy string }{
			{"", "", `"default";r=9;t=1`, `"default";q=10;w=1`},
			{`"outer";r=1`, `"outer";q=5`, `"outer";r=1, "default";r=8;t=1`, `"outer";q=5, "default";q=10;w=1`},
			{`"outer";r=1`, "", `"outer";r=1, "default";r=7;t=1`, `"default";q=10;w=1`},
			{"", `"outer";q=5`, `"default";r=6;t=1`, `"outer";q=5, "default";q=10;w=1`},
		} {
			w := httptest.NewRecorder()
			if tt.limit != "" {
				w.Header().Set("RateLimit", tt.limit)
			}
			if tt.policy != "" {
				w.Header().Set("RateLimit-Policy", tt.policy)
			}
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if limit, policy := w.Header().Get("RateLimit"), w.Header().Get("RateLimit-Policy"); limit != tt.wantLimit || policy != tt.wantPolicy {
				t.Errorf("below %q and %q: RateLimit %s and RateLimit-Policy %s, want %s and %s", tt.limit, tt.policy, limit, policy, tt.wantLimit, tt.wantPolicy)
			}
		}
	})
}

// limit is a Limiter that always says the same.
type limit middleware.Grant

func (l limit) Take(context.Context, string) middleware.Grant { return middleware.Grant(l) }

// A Limiter of one's own may say "never" by the longest of durations, or
// nonsense; what is sent is the nearest that means something.
func TestRateOfAnAbsurdLimiter(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   limit
		atLeast time.Duration // of Retry-After
		want    string        // RateLimit
	}{
		{"never", limit{RetryIn: math.MaxInt64, Reset: math.MaxInt64}, 365 * 24 * time.Hour, `"default";r=0;t=31536000`},
		{"before now", limit{RetryIn: math.MinInt64, Reset: math.MinInt64, Remaining: -5}, time.Second, `"default";r=0;t=0`},
	} {
		wrap, err := middleware.New(middleware.WithRate(middleware.Rate{
			Quota: middleware.Quota{Requests: 1, Per: time.Second}, Limiter: tt.limit,
		}))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if err != nil || time.Duration(seconds)*time.Second < tt.atLeast {
			t.Errorf("%s: Retry-After %q, want at least %v", tt.name, w.Header().Get("Retry-After"), tt.atLeast)
		}
		if got := w.Header().Get("RateLimit"); got != tt.want {
			t.Errorf("%s: RateLimit %s, want %s", tt.name, got, tt.want)
		}
	}
}
