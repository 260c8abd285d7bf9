package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// quotas is a server with a quota for each account, and the paths below /free without
// one. It takes 20 ms to refuse, and latency to answer.
type quotas struct {
	requests int // per window
	window   time.Duration
	latency  time.Duration
	status   int // of refusals; 0: 429
	hint     func(wait time.Duration, h http.Header)

	mu      sync.Mutex
	windows map[string]*window
	sent    []time.Time
	refused int
}

type window struct {
	began time.Time
	n     int
}

func (q *quotas) RoundTrip(req *http.Request) (*http.Response, error) {
	q.mu.Lock()
	q.sent = append(q.sent, time.Now())
	q.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
	if wait := q.take(req); wait > 0 && !strings.HasPrefix(req.URL.Path, "/free") {
		resp.StatusCode = 429
		if q.status != 0 {
			resp.StatusCode = q.status
		}
		if q.hint != nil {
			q.hint(wait, resp.Header)
		} else {
			resp.Header.Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
		}
		return resp, nil
	}
	time.Sleep(max(q.latency-20*time.Millisecond, 0))
	return resp, req.Context().Err()
}

func (q *quotas) take(req *http.Request) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	account := req.Header.Get("Authorization")
	if q.windows == nil {
		q.windows = make(map[string]*window)
	}
	w := q.windows[account]
	if now := time.Now(); w == nil || now.Sub(w.began) >= q.window {
		w = &window{began: now}
		q.windows[account] = w
	}
	if w.n++; w.n <= q.requests || strings.HasPrefix(req.URL.Path, "/free") {
		return 0
	}
	q.refused++
	return q.window - time.Since(w.began)
}

// workers call in a loop until the context ends, and return how many calls succeeded.
func workers(ctx context.Context, n int, rt http.RoundTripper, path func(i int) string, prepare func(i int, req *http.Request)) int {
	var wg sync.WaitGroup
	var good atomic.Int64
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test"+path(i), nil)
				if err != nil {
					panic(err)
				}
				if prepare != nil {
					prepare(i, req)
				}
				if resp, err := rt.RoundTrip(req); err == nil && resp.StatusCode == 200 {
					good.Add(1)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	return int(good.Load())
}

// Of 20 workers beyond a quota of 10 in 10 s, one is refused after each pause, and all
// that the quota allows is used. Those in flight at the first refusal are refused too, and
// a few that find out how much the quota allows.
func TestOneIsToldAllWait(t *testing.T) {
	items := func(i int) string { return "/items" }
	for _, tt := range []struct {
		name    string
		server  *quotas
		path    func(i int) string
		pacing  transport.Pacing
		refused int // at most
	}{
		{"429", &quotas{}, items, transport.Pacing{}, 28},
		{"429, slow responses", &quotas{latency: 2 * time.Second}, items, transport.Pacing{}, 28},
		{"403", &quotas{status: 403}, items, transport.Pacing{}, 28},
		{"RateLimit alone", &quotas{hint: func(wait time.Duration, h http.Header) {
			h.Set("RateLimit", fmt.Sprintf(`"default";r=0;t=%d`, int(wait.Seconds())+1))
		}}, items, transport.Pacing{}, 28},
		{"503, if asked for", &quotas{status: 503}, items, transport.Pacing{Unavailable: true}, 28},
		{"20 paths of one kind", &quotas{}, func(i int) string { return fmt.Sprintf("/items/%d", i) }, transport.Pacing{}, 28},
		{"20 kinds", &quotas{}, func(i int) string { return "/" + string(rune('a'+i)) }, transport.Pacing{}, 40},
		{"20 kinds, one key", &quotas{}, func(i int) string { return "/" + string(rune('a'+i)) },
			transport.Pacing{Key: func(*http.Request) string { return "" }}, 28},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.server.requests, tt.server.window = 10, 10*time.Second
				ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
				defer cancel()
				good := workers(ctx, 20, build(t, tt.server, transport.WithPacing(tt.pacing)), tt.path, nil)
				if good < 60 || tt.server.refused > tt.refused {
					t.Errorf("%d succeeded, %d refused, want 60 and at most %d", good, tt.server.refused, tt.refused)
				}
			})
		})
	}
}

// What is not refused is not made to wait: another account, another service, and another
// kind of request with a quota of its own.
func TestOthersDoNotWait(t *testing.T) {
	for _, tt := range []struct {
		name string
		path string
		opts []transport.Option
		as   func(*http.Request)
	}{
		{"another token", "/items", nil, func(req *http.Request) { req.Header.Set("Authorization", "Bearer b") }},
		{"another key", "/items", []transport.Option{transport.WithPacing(transport.Pacing{Key: func(req *http.Request) string { return req.Header.Get("X") }})},
			func(req *http.Request) { req.Header.Set("X", "b"); req.Header.Set("Authorization", "b") }},
		{"another kind", "/free", nil, nil},
		{"another kind, by number", "/free/1", nil, nil},
		{"another service", "/items", []transport.Option{transport.WithServiceName(func(req *http.Request) string { return req.Header.Get("Authorization") })},
			func(req *http.Request) { req.Header.Set("Authorization", "b") }},
		{"accounts of an attempt layer", "/items", []transport.Option{transport.WithAttemptLayer(func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				req = req.Clone(req.Context())
				req.Header.Set("Authorization", req.Header.Get("X-User"))
				return next.RoundTrip(req)
			})
		})}, func(req *http.Request) { req.Header.Set("X-User", "b") }},
		{"turned off", "/free", []transport.Option{transport.WithPacing(transport.Pacing{Off: true})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := quotas{requests: 10, window: 30 * time.Second}
				rt := build(t, &server, tt.opts...)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				done := make(chan int)
				go func() { done <- workers(ctx, 20, rt, func(int) string { return "/items" }, nil) }()
				var waited time.Duration
				calls := 0
				for i := range 200 { // four per second, or 8 in 30 s where there is a quota
					time.Sleep(250 * time.Millisecond)
					if tt.as != nil && i%15 != 0 {
						continue
					}
					calls++
					req, err := http.NewRequestWithContext(t.Context(), "GET", "http://api.test"+tt.path, nil)
					if err != nil {
						t.Fatal(err)
					}
					if tt.as != nil {
						tt.as(req)
					}
					start := time.Now()
					resp, err := rt.RoundTrip(req)
					if err != nil || resp.StatusCode != 200 {
						call, _ := transport.CallOf(resp)
						t.Fatalf("call %d: %v, %v, %+v", calls, resp, err, call)
					}
					waited += time.Since(start) - 20*time.Millisecond // what it takes
				}
				<-done
				if waited > time.Second {
					t.Errorf("%d calls waited for %v, want next to nothing", calls, waited)
				}
			})
		})
	}
}

// A server that refuses for ever slows down nobody but those that call it, and never for
// longer than their policy allows.
func TestForeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
			if req.URL.Host == "liar.test" {
				resp.StatusCode = 429
				resp.Header.Set("Retry-After", "30")
			}
			return resp, nil
		})
		rt := build(t, base)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		go workers(ctx, 20, rt, func(int) string { return "/" }, func(_ int, req *http.Request) { req.URL.Host = "liar.test" })
		for range 100 {
			time.Sleep(5 * time.Second)
			start := time.Now()
			if resp, err := rt.RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 || time.Since(start) > 0 {
				t.Fatalf("another service: %v, %v after %v", resp, err, time.Since(start))
			}
		}
		<-ctx.Done()
		synctest.Wait()
		if until := rt.PausedUntil("api.test"); !until.IsZero() {
			t.Errorf("api.test is paused until %v, want never", until)
		}
		start := time.Now()
		req, err := http.NewRequest("GET", "http://liar.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		rt.RoundTrip(req)
		if d := time.Since(start); d > 3*40*time.Second {
			t.Errorf("a call took %v, want at most three waits", d)
		}
	})
}

// A call that was refused, and whose retry would come too late, gets its response.
func TestPausedRetryKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent.Add(1)
			time.Sleep(10 * time.Millisecond) // so that both are in flight
			resp := &http.Response{StatusCode: 429, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("slow down")), Request: req}
			resp.Header.Set("Retry-After", map[string]string{"/a": "10", "/b": "25"}[req.URL.Path])
			return resp, nil
		})
		rt := build(t, base, transport.WithPacing(transport.Pacing{Key: func(*http.Request) string { return "" }}))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for _, path := range []string{"/a", "/b"} {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test"+path, nil)
				if err != nil {
					t.Error(err)
				}
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != 429 {
					t.Errorf("%s: got %v, %v, want the 429", path, resp, err)
					return
				}
				if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "slow down" {
					t.Errorf("%s: read %q, %v, want the whole body", path, text, err)
				}
				call, _ := transport.CallOf(resp)
				if want := map[string]transport.StopReason{"/a": transport.StopRetryAfter, "/b": transport.StopDeadline}[path]; call.Stop != want {
					t.Errorf("%s: stop %s, want %s", path, call.Stop, want)
				}
			})
		}
		wg.Wait()
		if sent.Load() != 2 {
			t.Errorf("%d attempts, want 2", sent.Load())
		}
	})
}

// A dry run holds nothing and says what it would have done.
func TestDryRunDoesNotPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := quotas{requests: 1, window: 20 * time.Second}
		rt := build(t, &server, transport.WithDryRun())
		for i, want := range []transport.Call{{}, {}, {WouldWait: 20 * time.Second}, {WouldWait: 20 * time.Second, WouldRefuse: transport.StopRetryAfter}} {
			ctx := t.Context()
			if want.WouldRefuse != "" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
			}
			start := time.Now()
			resp, err := rt.RoundTrip(get(t, ctx))
			if err != nil || time.Since(start) > 20*time.Millisecond {
				t.Fatalf("call %d: %v after %v, want an answer at once", i, err, time.Since(start))
			}
			got, _ := transport.CallOf(resp)
			if got.WouldRefuse != want.WouldRefuse || got.WouldWait < want.WouldWait || got.WouldWait > want.WouldWait+want.WouldWait/8 || got.Paused != 0 {
				t.Errorf("call %d: %+v, want it to say %+v", i, got, want)
			}
		}
	})
}

// All that Wrap makes waits together, and no second copy is sent during a pause.
func TestPauseOfWrappedChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Duration
		start := time.Now()
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			sent = append(sent, time.Since(start))
			n := len(sent)
			mu.Unlock()
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
			switch n {
			case 1: // hangs past the pause of the other
				time.Sleep(5 * time.Second)
			case 2:
				resp.StatusCode = 429
				resp.Header.Set("Retry-After", "10")
			}
			return resp, nil
		})
		rt := build(t, base, transport.WithHedging(transport.Hedge{Delay: time.Second, Ratio: 1}), transport.WithPolicy(transport.Policy{MaxAttempts: 2}))
		other := rt.Wrap(base)
		var wg sync.WaitGroup
		wg.Go(func() { rt.RoundTrip(get(t, t.Context())) })
		time.Sleep(time.Millisecond)
		wg.Go(func() { other.RoundTrip(get(t, t.Context())) })
		time.Sleep(time.Millisecond)
		wg.Go(func() { rt.RoundTrip(get(t, t.Context())) })
		wg.Wait()
		if len(sent) != 4 || sent[2] < 10*time.Second || sent[3] < 10*time.Second {
			t.Errorf("sent at %v, want two at once, no copies, and two after 10 s", sent)
		}
	})
}
