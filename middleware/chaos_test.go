package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever handlers and clients do in a hundred thousand requests, which panic,
// hijack, stream, time out and disconnect, with and without a queue and a
// probe: every slot is free in the end and no goroutine is left, which the
// bubble would not end with.
func TestNothingLeaks(t *testing.T) {
	for _, tt := range []struct {
		name string
		most int64 // requests in the handler
		opts []middleware.Option
	}{
		{"found limit", 20, []middleware.Option{middleware.WithShedding(middleware.Shedding{SchedulerLatency: -1, MaxConcurrency: 20}), middleware.WithPriority(func(*http.Request) int { return rand.IntN(500) })}},
		{"given limit", 10, []middleware.Option{middleware.WithShedding(middleware.Shedding{}), middleware.WithConcurrency(10)}},
		{"no queue", 10, []middleware.Option{middleware.WithConcurrency(10)}},
		{"dry run", 1 << 30, []middleware.Option{middleware.WithShedding(middleware.Shedding{SchedulerLatency: -1}), middleware.WithConcurrency(10), middleware.WithDryRun()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { leak(t, 25_000, tt.most, tt.opts) })
		})
	}
}

func leak(t *testing.T, requests int, limit int64, opts []middleware.Option) {
	var mu sync.Mutex
	var last middleware.Event
	reasons := map[middleware.ShedReason]int{}
	wrap, err := middleware.New(append(opts, middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{}),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			mu.Lock()
			reasons[e.Shed]++
			last = e
			mu.Unlock()
		}}))...)
	if err != nil {
		t.Fatal(err)
	}
	var in, slots, most atomic.Int64 // requests in the handler, and those that hold a slot
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.Add(1)
		defer in.Add(-1)
		held := true
		free := func() {
			if held {
				held = false
				slots.Add(-1)
			}
		}
		n := slots.Add(1)
		defer free()
		for p := most.Load(); n > p && !most.CompareAndSwap(p, n); p = most.Load() {
		}
		time.Sleep(rand.N(10 * time.Millisecond))
		switch rand.IntN(8) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			panic(errors.New("bug"))
		case 2:
			free()
			w.(http.Hijacker).Hijack()
			time.Sleep(rand.N(50 * time.Millisecond))
		case 3:
			free()
			w.(http.Flusher).Flush()
			time.Sleep(rand.N(50 * time.Millisecond))
			io.WriteString(w, "data")
		case 4: // until the client has gone or its time is up
			select {
			case <-r.Context().Done():
			case <-time.After(rand.N(30 * time.Millisecond)):
			}
		case 5:
			w.WriteHeader(503)
		}
	}))
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			defer func() { recover() }()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if rand.IntN(4) == 0 {
				stop := time.AfterFunc(rand.N(30*time.Millisecond), cancel)
				defer stop.Stop()
			}
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			if rand.IntN(3) == 0 {
				r.Header.Set("Request-Timeout-Ms", strconv.Itoa(rand.IntN(100)))
			}
			if rand.IntN(3) == 0 {
				r.Header.Set("Retry-Attempt", strconv.Itoa(rand.IntN(4)))
			}
			h.ServeHTTP(&connWriter{fakeWriter{header: http.Header{}}}, r)
		})
		if rand.IntN(10) == 0 { // in bursts
			time.Sleep(rand.N(20 * time.Millisecond))
		}
	}
	wg.Wait()
	if in.Load() != 0 || slots.Load() != 0 {
		t.Errorf("%d in the handler and %d slots in the end", in.Load(), slots.Load())
	}
	if most.Load() > limit {
		t.Errorf("%d at a time, want at most %d", most.Load(), limit)
	}
	for range 2 {
		func() {
			defer func() { recover() }()
			h.ServeHTTP(&connWriter{fakeWriter{header: http.Header{}}}, httptest.NewRequest("GET", "/", nil))
		}()
		if last.InFlight != 0 || last.Shed != middleware.ShedNone {
			t.Errorf("%+v, want a handler that is empty", last)
		}
	}
	total := 0
	for _, n := range reasons {
		total += n
	}
	t.Logf("at most %d at a time, %v", most.Load(), reasons)
	if total != requests+2 || reasons[middleware.ShedNone] == total {
		t.Errorf("%d events of %d requests, %v", total, requests+2, reasons)
	}
}

// connWriter can be hijacked.
type connWriter struct{ fakeWriter }

func (w *connWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// Whatever handlers and clients do, every slot is free in the end and every
// request is reported once.
func TestSlotsAndEventsUnderChaos(t *testing.T) {
	const limit, requests = 8, 20_000
	var events, panicked, shed atomic.Int64
	wrap, err := middleware.New(middleware.WithConcurrency(limit), middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute}),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			events.Add(1)
			if e.Panicked || e.Aborted {
				panicked.Add(1)
			}
			if e.Shed != middleware.ShedNone {
				shed.Add(1)
			}
		}}))
	if err != nil {
		t.Fatal(err)
	}
	var at, peak atomic.Int64
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := at.Add(1)
		free := sync.OnceFunc(func() { at.Add(-1) })
		defer free()
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		switch rand.IntN(6) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			panic("bug")
		case 2:
			w.(http.Hijacker).Hijack()
		case 3:
			w.WriteHeader(200)
			free() // a stream holds no slot
			w.(http.Flusher).Flush()
			if _, err := io.WriteString(w, "data"); err == nil {
				panic(errors.New("stream broke"))
			}
		case 4:
			io.Copy(w, strings.NewReader("x"))
		}
	}))
	var wg sync.WaitGroup
	var passed atomic.Int64
	for range 16 {
		wg.Go(func() {
			for range requests / 16 {
				func() {
					defer func() {
						if recover() != nil {
							passed.Add(1)
						}
					}()
					r := httptest.NewRequest("GET", "/", nil)
					r.Header.Set("Retry-Attempt", "2")
					h.ServeHTTP(&fakeWriter{header: http.Header{}}, r)
				}()
			}
		})
	}
	wg.Wait()
	if events.Load() != requests || panicked.Load() != passed.Load() || peak.Load() > limit {
		t.Errorf("%d events, %d of %d panics reported, %d at a time; want %d, all, and at most %d", events.Load(), panicked.Load(), passed.Load(), peak.Load(), requests, limit)
	}
	// Every slot is free: limit requests can be inside at once.
	var inside sync.WaitGroup
	inside.Add(limit)
	all := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Done()
		inside.Wait()
	}))
	for range limit {
		wg.Go(func() { serve(all, "GET") })
	}
	wg.Wait()
}
