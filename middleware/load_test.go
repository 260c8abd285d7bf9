package middleware_test

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// hijackable always lets itself be.
type hijackable struct{ fakeWriter }

func (*hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// The life of a stream is told apart from the time until it began.
func TestStreamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, h := range map[string]http.HandlerFunc{
			"flush":      func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() },
			"controller": func(w http.ResponseWriter, r *http.Request) { http.NewResponseController(w).Flush() },
			"hijack":     func(w http.ResponseWriter, r *http.Request) { w.(http.Hijacker).Hijack() },
			"plain":      func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		} {
			var seen middleware.Event
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				h(w, r)
				time.Sleep(time.Hour)
				h(w, r) // from the second on, nothing changes
			}, middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { seen = e }}))
			h.ServeHTTP(&hijackable{fakeWriter{header: http.Header{}}}, httptest.NewRequest("GET", "/", nil))
			streamed := time.Hour
			if name == "plain" {
				streamed = 0
			}
			if seen.Duration != time.Hour+time.Second || seen.Streamed != streamed {
				t.Errorf("%s: %v, of which streamed %v; want 1h0m1s and %v", name, seen.Duration, seen.Streamed, streamed)
			}
		}
	})
}

// The load is what is in the handler now, limited or not, and nothing once all
// have gone, whichever way.
func TestLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  []middleware.Option
		limit int
	}{
		"no limit":    {nil, 0},
		"concurrency": {[]middleware.Option{middleware.WithConcurrency(7)}, 7},
		"huge":        {[]middleware.Option{middleware.WithConcurrency(math.MaxInt)}, 0},
		"dry run":     {[]middleware.Option{middleware.WithConcurrency(2), middleware.WithDryRun()}, 2},
		"shedding":    {[]middleware.Option{middleware.WithShedding(middleware.Shedding{}), middleware.WithConcurrency(9)}, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			var load func() middleware.Load
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/flush":
					w.(http.Flusher).Flush()
				case "/hijack":
					w.(http.Hijacker).Hijack()
				case "/panic":
					time.Sleep(time.Second)
					panic(http.ErrAbortHandler)
				}
				time.Sleep(time.Second)
			}, append(tt.opts, middleware.WithObserver(middleware.Observer{OnNew: func(l func() middleware.Load) { load = l }}))...)
			want := func(when string, inFlight int) {
				t.Helper()
				synctest.Wait()
				if got := load(); got.InFlight != inFlight || got.Limit != tt.limit {
					t.Errorf("%s, %s: %+v, want %d of %d", name, when, got, inFlight, tt.limit)
				}
			}
			want("before", 0)
			for _, path := range []string{"/", "/", "/panic", "/flush", "/hijack"} {
				go func() {
					defer func() { recover() }()
					h.ServeHTTP(&hijackable{fakeWriter{header: http.Header{}}}, httptest.NewRequest("GET", path, nil))
				}()
				synctest.Wait()
			}
			want("while it serves", 3)
			time.Sleep(time.Minute)
			want("after", 0)
		})
	}
}

// Names that clients make up stay short and legible in logs.
func TestLogOfAMethodMadeUp(t *testing.T) {
	for _, method := range []string{strings.Repeat("X", 5000), "\xff", "PROPFIND"} {
		got := logged(-4, func(log middleware.Observer) {
			log.OnRequest(t.Context(), middleware.Event{Method: method, Status: 200})
		})
		if !strings.Contains(got[0], "method=_OTHER result=success ") {
			t.Errorf("%.20q: %.200s, want _OTHER", method, got[0])
		}
	}
}

// asking is a writer whose client sends its next request as soon as it has the
// first bytes of an answer.
type asking struct {
	fakeWriter
	next func()
}

func (w *asking) Flush() { w.next() }

// A client that has the first event of a stream may ask for something else, and
// finds the room that the stream no longer takes.
func TestRoomBeforeTheFlush(t *testing.T) {
	h := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			http.NewResponseController(w).Flush()
		}
	}, middleware.WithConcurrency(1))
	next := httptest.NewRecorder()
	h.ServeHTTP(&asking{fakeWriter{header: http.Header{}}, func() {
		h.ServeHTTP(next, httptest.NewRequest("GET", "/", nil))
	}}, httptest.NewRequest("GET", "/stream", nil))
	if next.Code != http.StatusOK {
		t.Errorf("got %d for the next request while the first event was on its way, want 200", next.Code)
	}
}
