package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// slowReader is a client that takes what is written at a time of its own.
type slowReader struct {
	*httptest.ResponseRecorder
	each time.Duration
}

func (w slowReader) Write(p []byte) (int, error) {
	time.Sleep(w.each)
	return w.ResponseRecorder.Write(p)
}

func (w slowReader) ReadFrom(r io.Reader) (n int64, err error) {
	for p := make([]byte, 8<<10); err == nil; {
		var m int
		if m, err = r.Read(p); m > 0 {
			w.Write(p[:m])
			n += int64(m)
		}
	}
	return n, nil
}

// pieces is a body of which a piece comes now and then.
type pieces struct {
	left int
	each time.Duration
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	time.Sleep(p.each)
	b[0] = 'x'
	return 1, nil
}

func (p *pieces) Close() error { return nil }

// A request that waits for its own client leaves its slot to others; one that works
// does not.
func TestWaitsForTheClientHoldNoSlot(t *testing.T) {
	const minute = time.Minute
	large := strings.Repeat("x", 64<<10)
	for _, tt := range []struct {
		name  string
		each  time.Duration // of the client
		serve http.HandlerFunc
		free  bool // others are served meanwhile
	}{
		{"a body that dribbles", time.Second, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, true},
		{"read by another goroutine", time.Second, func(w http.ResponseWriter, r *http.Request) {
			read := make(chan bool)
			go func() { defer close(read); io.Copy(io.Discard, r.Body) }()
			<-read
		}, true},
		{"a body that comes", time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
			for range 10 {
				io.Copy(io.Discard, io.LimitReader(r.Body, 10))
				time.Sleep(6 * time.Second)
			}
		}, false},
		{"work without a body", time.Second, func(w http.ResponseWriter, r *http.Request) { time.Sleep(minute) }, false},
		{"a response that is not read", minute, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, large) }, true},
		{"in bytes", minute, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(large)) }, true},
		{"by ReadFrom", minute, func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(io.LimitReader(strings.NewReader(large), 8<<10))
		}, true},
		{"ReadFrom of what is long in coming", time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(&pieces{10, 6 * time.Second})
		}, false},
		{"a response that fits into buffers", minute, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("small")) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				busy := func() middleware.Load { return middleware.Load{} }
				h := build(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/other" {
						time.Sleep(10 * time.Millisecond)
						return
					}
					tt.serve(w, r)
				}, middleware.WithConcurrency(4), middleware.WithShedding(middleware.Shedding{}),
					middleware.WithObserver(middleware.Observer{OnNew: func(load func() middleware.Load) { busy = load }}))
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						r := httptest.NewRequest("POST", "/slow", &pieces{60, tt.each})
						h.ServeHTTP(slowReader{httptest.NewRecorder(), tt.each}, r)
					})
				}
				var served, refused atomic.Int64
				for range 200 { // 10 s
					time.Sleep(50 * time.Millisecond)
					wg.Go(func() {
						w := httptest.NewRecorder()
						h.ServeHTTP(w, httptest.NewRequest("GET", "/other", nil))
						if w.Code == 200 {
							served.Add(1)
						} else {
							refused.Add(1)
						}
					})
				}
				wg.Wait()
				if n := served.Load(); tt.free && n != 200 || !tt.free && n > 4 {
					t.Errorf("%d of others served and %d refused beside 64 requests, want them served: %t", n, refused.Load(), tt.free)
				}
				if l := busy(); l.InFlight != 0 {
					t.Errorf("%d in flight at the end, want 0", l.InFlight)
				}
			})
		})
	}
}

// Where nothing else may be lent, a limit that was set is kept to the letter.
func TestWaitsForTheClientUnderAStrictLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, middleware.WithConcurrency(1))
		var wg sync.WaitGroup
		wg.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", &pieces{10, time.Second}))
		})
		for range 5 {
			time.Sleep(time.Second)
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil)); w.Code != 503 {
				t.Errorf("%d beside a request that waits for its client, want 503", w.Code)
			}
		}
		wg.Wait()
	})
}

// The wait for a client is no latency of the handler: the time that a request may
// queue is what its client waits, less the time for the work.
func TestWaitsForTheClientAreNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var last middleware.Event
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			d, _ := time.ParseDuration(r.URL.RawQuery)
			time.Sleep(d)
		}, middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}),
			middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
				mu.Lock()
				defer mu.Unlock()
				last = e
			}}))
		for range 60 { // from which the latency is learnt
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/?20ms", &pieces{3, 100 * time.Millisecond}))
		}
		var wg sync.WaitGroup
		wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?3s", nil)) })
		synctest.Wait()
		r := httptest.NewRequest("GET", "/?20ms", nil)
		r.Header.Set("Request-Attempt-Timeout-Ms", "900")
		h.ServeHTTP(httptest.NewRecorder(), r)
		mu.Lock()
		if last.Shed != middleware.ShedQueue || last.QueueWait != 880*time.Millisecond {
			t.Errorf("%q after %v, want it refused by the queue after 880ms", last.Shed, last.QueueWait)
		}
		mu.Unlock()
		wg.Wait()
	})
}

// One connection of HTTP/2 whose uploads dribble takes nothing from the others.
func TestDribblingUploadsOnOneConnection(t *testing.T) {
	inside := make(chan bool, 64)
	srv := httptest.NewUnstartedServer(build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			inside <- true
			io.Copy(io.Discard, r.Body)
		}
	}, middleware.WithConcurrency(8), middleware.WithShedding(middleware.Shedding{})))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 64 {
		pr, pw := io.Pipe()
		defer pw.Close()
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", srv.URL, pr)
			if resp, err := srv.Client().Do(req); err == nil {
				resp.Body.Close()
			}
		})
	}
	for range 8 {
		<-inside
	}
	for i := range 50 {
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
			t.Errorf("request %d: %d by HTTP/%d, want 200 by HTTP/2", i, resp.StatusCode, resp.ProtoMajor)
		}
	}
	cancel()
	wg.Wait()
}
