package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// Clients that are refused together are told different times, as far apart as
// the handler can serve them. Those whose call is over before their time are told
// not to come back; no others are, however many there are.
func TestCalendar(t *testing.T) {
	for _, tt := range []struct {
		line                  string
		leastNever, mostNever int // of 700
	}{
		{"Request-Timeout-Ms: 10000", 150, 300},
		{"Request-Timeout-Ms: 60000", 0, 0},
		{"Request-Attempt-Timeout-Ms: 100", 0, 0},
		{"Accept: text/plain", 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Millisecond) }, middleware.WithConcurrency(1))
			for range 100 { // 100 per second
				serve(h, "GET")
			}
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { serve(h, "GET") })
			synctest.Wait()
			last, never := 0, 0
			for range 700 {
				resp := serve(h, "GET", tt.line)
				var ms, s int
				fmt.Sscan(resp.Header.Get("Retry-After-Ms"), &ms)
				fmt.Sscan(resp.Header.Get("Retry-After"), &s)
				switch again := resp.Header.Get("X-Should-Retry"); {
				case again == "true" && ms <= 10_000:
					// Half of what it can serve: 20 ms for each.
					if d := ms - last; d < 19 || d > 25 || s != (ms+999)/1000 {
						t.Fatalf("told %d ms and %d s after %d ms, want 20 ms apart", ms, s, last)
					}
					last = ms
				case again == "true":
					if ms < 11_000 || ms > 13_000 {
						t.Fatalf("told %d ms, want a random time after the longest, which is 10 s", ms)
					}
				case again == "false":
					never++
					if resp.Header.Get("X-Envoy-Ratelimited") != "true" || ms < 10_000 {
						t.Fatalf("told not to come back with %v", resp.Header)
					}
				}
			}
			if never < tt.leastNever || never > tt.mostNever {
				t.Errorf("%s: %d of 700 told not to come back, want from %d to %d", tt.line, never, tt.leastNever, tt.mostNever)
			}
		})
	}
}

// Nobody is told to come back in vain when somebody knows better.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var spent atomic.Bool
		block := make(chan struct{})
		h := build(t, func(w http.ResponseWriter, r *http.Request) { <-block }, middleware.WithConcurrency(1),
			middleware.WithShedding(middleware.Shedding{GiveUp: spent.Load, MaxWait: time.Millisecond}))
		var wg sync.WaitGroup
		wg.Go(func() { serve(h, "GET") })
		synctest.Wait()
		for _, want := range []string{"true", "false"} {
			resp := serve(h, "POST", "Content-Type: application/grpc+proto")
			pushback := resp.Header.Get("Grpc-Retry-Pushback-Ms")
			if resp.Header.Get("X-Should-Retry") != want || (pushback == "-1") != (want == "false") {
				t.Errorf("header %v, want X-Should-Retry: %s and a pushback to match", resp.Header, want)
			}
			spent.Store(true)
		}
		close(block)
		wg.Wait()
	})
}

func TestDryRunWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithDryRun())
		c.send("holder?1s")
		start := time.Now()
		w := c.send("other?1ms")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if e := c.seen()[0]; w.Code != 200 || time.Since(start) != time.Millisecond || e.Shed != middleware.ShedConcurrency || !e.DryRun || e.InFlight != 1 {
			t.Errorf("%d, %+v", w.Code, e)
		}
		c.wg.Wait()
	})
}

// A dry run counts as refused what would be, and not what raises the limit.
func TestDryRunStartsAsThatWouldBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shed atomic.Int32
		h := build(t, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, middleware.WithShedding(middleware.Shedding{MaxConcurrency: 200}),
			middleware.WithDryRun(), middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
				if e.Shed == middleware.ShedConcurrency {
					shed.Add(1)
				}
			}}))
		var wg sync.WaitGroup
		for range 250 {
			wg.Go(func() { serve(h, "GET") })
		}
		wg.Wait()
		if got := shed.Load(); got != 50 {
			t.Errorf("%d of 250 at once would be refused where at most 200 are let in, want 50", got)
		}
	})
}

// A slot is free from the first flush or the hijack on, and after every other
// end of a handler.
func TestSlotIsReleased(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"flush": func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() },
		"controller": func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"hijack": func(w http.ResponseWriter, r *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				defer conn.Close()
				<-r.Context().Done()
			}
		},
		"abort":  func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"return": func(w http.ResponseWriter, r *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan middleware.Event, 100)
			ctx, stop := context.WithCancel(context.Background())
			wrap, err := middleware.New(middleware.WithConcurrency(1), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { ended <- e },
			}))
			if err != nil {
				t.Fatal(err)
			}
			entered := make(chan struct{}, 1)
			h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/other" {
					return
				}
				defer func() { entered <- struct{}{} }()
				handler(&announcing{ResponseWriter: w, entered: entered}, r.WithContext(ctx))
			}))
			srv := httptest.NewServer(h)
			srv.Config.ErrorLog = quiet
			defer srv.Close()
			client := srv.Client()
			var held sync.WaitGroup
			defer held.Wait()
			defer stop()
			held.Go(func() {
				if resp, err := client.Get(srv.URL + "/held"); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			<-entered
			if name == "abort" || name == "return" {
				<-ended
			}
			resp, err := client.Get(srv.URL + "/other")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%d, want the slot to be free", resp.StatusCode)
			}
		})
	}
}

// A server whose first clients have all gone before they were served knows
// nothing of its latency. It must not refuse for good those that come later.
func TestStartWithNobodyServedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if slow {
				time.Sleep(700 * time.Millisecond) // whether or not the client is there
				return
			}
			time.Sleep(10 * time.Millisecond)
		}, middleware.WithShedding(middleware.Shedding{}))
		get := func() int {
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			if ctx.Err() != nil {
				return 0
			}
			return w.Code
		}
		var wg sync.WaitGroup
		for range 400 {
			wg.Go(func() { get() })
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		slow = false
		served := 0
		for range 200 { // one after the other
			if get() == http.StatusOK {
				served++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if served < 195 {
			t.Errorf("%d of 200 served when the handler is fast again, want nearly all", served)
		}
	})
}
