package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// Of 50,000 requests at a time those that wait take at most 3 KB each, besides the
// stack of their goroutine, and the others are refused.
func TestMemoryOfAQueue(t *testing.T) {
	const requests, most = 50_000, 3 << 10
	block := make(chan struct{})
	fair := middleware.Shedding{FairBy: func(r *http.Request) string { return r.RemoteAddr }}
	h := build(t, func(http.ResponseWriter, *http.Request) { <-block }, middleware.WithConcurrency(1), middleware.WithShedding(fair),
		middleware.WithPriority(func(r *http.Request) int { return len(r.RemoteAddr) }))
	var refused atomic.Int32
	var wg sync.WaitGroup
	came := make([]*http.Request, requests)
	for i := range came {
		came[i] = &http.Request{Method: "GET", Header: http.Header{"Request-Attempt-Timeout-Ms": {"3600000"}}, RemoteAddr: strconv.Itoa(i % 1000)}
	}
	// As long as nothing is known of the throughput, so many may wait.
	const waiting = 8192
	deadline := time.Now().Add(time.Minute)
	decided := func(n int) {
		for int(refused.Load()) < n-waiting-1 && time.Now().Before(deadline) {
			runtime.Gosched()
		}
	}
	before := inUse()
	for i := range came {
		decided(i - 1000) // the runtime keeps something of each goroutine, so not all begin at once
		wg.Go(func() {
			w := &fakeWriter{header: http.Header{}}
			h.ServeHTTP(w, came[i])
			if w.header.Get("Retry-After") != "" {
				refused.Add(1)
			}
		})
	}
	decided(requests)
	used, waits := inUse()-before, requests-int(refused.Load())
	if waits < waiting || waits > waiting+1 {
		t.Errorf("%d of %d wait, want %d", waits, requests, waiting)
	}
	if each := used / uint64(waits); each > most {
		t.Errorf("%d bytes for each of %d that wait, want at most %d", each, waits, most)
	}
	close(block)
	wg.Wait()
	runtime.KeepAlive(came)
}

// inUse is how much of the heap is, after everything else was collected.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Handlers that never return, one in a hundred, keep nobody else waiting.
func TestHandlersThatNeverReturn(t *testing.T) {
	for _, named := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			never := make(chan struct{})
			mux := http.NewServeMux()
			mux.HandleFunc("/work", func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) })
			mux.HandleFunc("/never", func(http.ResponseWriter, *http.Request) { <-never })
			var inner http.Handler = mux
			if !named {
				inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r.Clone(r.Context())) })
			}
			wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{SchedulerLatency: -1, IgnoreMemory: true}))
			if err != nil {
				t.Fatal(err)
			}
			h := wrap(inner)
			var wg sync.WaitGroup
			var refused, late atomic.Int32
			const requests = 12_000 // two minutes
			for i := range requests {
				path := "/work"
				if i%100 == 50 {
					path = "/never"
				}
				wg.Go(func() {
					w, began := httptest.NewRecorder(), time.Now()
					h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
					switch {
					case path == "/never":
					case w.Code != 200:
						refused.Add(1)
					case time.Since(began) > 50*time.Millisecond:
						late.Add(1)
					}
				})
				time.Sleep(10 * time.Millisecond)
			}
			if refused.Load() > requests/100 || late.Load() > requests/100 {
				t.Errorf("routes named %v: %d of %d refused and %d late, want 1 %% at most", named, refused.Load(), requests, late.Load())
			}
			close(never)
			wg.Wait()
		})
	}
}

// What a refusal costs in a server whose queue is full, and what admission costs
// where routes are named and callers share.
func BenchmarkRefusal(b *testing.B) {
	for _, bm := range []struct {
		name string
		opts []middleware.Option
	}{
		{"plain", nil},
		{"priorities", []middleware.Option{middleware.WithPriority(middleware.HeaderPriority)}},
		{"fair", []middleware.Option{middleware.WithShedding(middleware.Shedding{FairBy: func(r *http.Request) string { return r.RemoteAddr }})}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			block := make(chan struct{})
			var arrived atomic.Int64
			arrives := func(*http.Request) bool { arrived.Add(1); return false }
			opts := append([]middleware.Option{middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}), middleware.WithExempt(arrives)}, bm.opts...)
			h := build(b, func(http.ResponseWriter, *http.Request) { <-block }, opts...)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer close(block)
			request := func(i int) *http.Request {
				r := httptest.NewRequest("GET", "/", nil)
				r.RemoteAddr = strconv.Itoa(i % 1000)
				r.Header.Set("Request-Attempt-Timeout-Ms", "3600000")
				return r
			}
			for i := range 8193 {
				wg.Go(func() { h.ServeHTTP(&fakeWriter{header: http.Header{}}, request(i)) })
			}
			for quiet := 0; quiet < 1000; runtime.Gosched() { // until one is served and the others wait
				if arrived.Load() == 8193 {
					quiet++
				}
			}
			r := request(0)
			r.Header.Set("Request-Attempt-Timeout-Ms", "0") // is refused at once
			w := &fakeWriter{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
