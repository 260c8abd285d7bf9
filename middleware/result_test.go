package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func TestResultOfAnEvent(t *testing.T) {
	for _, tt := range []struct {
		event middleware.Event
		want  middleware.Result
	}{
		{middleware.Event{Status: 200}, middleware.ResultSuccess},
		{middleware.Event{Status: 304}, middleware.ResultSuccess},
		{middleware.Event{Status: 404}, middleware.ResultClientError},
		{middleware.Event{Status: 429}, middleware.ResultThrottled},
		{middleware.Event{Status: 500}, middleware.ResultServerError},
		{middleware.Event{Status: 503}, middleware.ResultUnavailable},
		{middleware.Event{Status: 504}, middleware.ResultServerError},
		{middleware.Event{Status: 504, Expired: true}, middleware.ResultTimeout},
		{middleware.Event{Status: 502, Gone: true}, middleware.ResultCancelled},
		{middleware.Event{Status: 200, Aborted: true}, middleware.ResultAborted},
		{middleware.Event{Status: 200, Aborted: true, Gone: true}, middleware.ResultCancelled},
		{middleware.Event{Status: 200, Aborted: true, Expired: true}, middleware.ResultTimeout},
		{middleware.Event{Panicked: true}, middleware.ResultPanicked},
		{middleware.Event{Hijacked: true}, middleware.ResultHijacked},
		{middleware.Event{Hijacked: true, Panicked: true}, middleware.ResultPanicked},
		{middleware.Event{Hijacked: true, Aborted: true}, middleware.ResultHijacked},
		{middleware.Event{Status: 503, Shed: middleware.ShedQueue}, middleware.ResultShed},
		{middleware.Event{Status: 503, Shed: middleware.ShedGone}, middleware.ResultShed},
		{middleware.Event{Status: 404, Shed: middleware.ShedQueue, DryRun: true}, middleware.ResultClientError},
	} {
		if got := tt.event.Result(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.event, got, tt.want)
		}
	}
}

// fate is a server whose events can be waited for.
type fate struct {
	*httptest.Server
	client *http.Client
	events chan middleware.Event
}

func newFate(t *testing.T, http2 bool, h http.Handler, opts ...middleware.Option) *fate {
	f := &fate{events: make(chan middleware.Event, 100)}
	f.Server = httptest.NewUnstartedServer(build(t, h.ServeHTTP, append(opts, middleware.WithObserver(middleware.Observer{
		OnRequest: func(_ context.Context, e middleware.Event) { f.events <- e },
	}))...))
	f.Config.ErrorLog = quiet
	f.EnableHTTP2 = http2
	if http2 {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(f.Close)
	f.client = f.Client()
	return f
}

// event is the next one.
func (f *fate) event(t *testing.T) middleware.Event {
	t.Helper()
	select {
	case e := <-f.events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		panic("unreachable")
	}
}

// visit sends a request, reads some of the response if there is one, and leaves:
// when it is told to, if there is a channel for that, and not before it has read.
func (f *fate) visit(t *testing.T, path string, read int64, leave <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if leave != nil && read == 0 {
		go func() {
			<-leave
			cancel()
		}()
	}
	req, err := http.NewRequestWithContext(ctx, "GET", f.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // once it has all, an HTTP/1 client leaves too
	resp, err := f.client.Do(req)
	if err != nil {
		return
	}
	io.CopyN(io.Discard, resp.Body, read)
	if leave != nil && read > 0 {
		<-leave
	}
	cancel()
	resp.Body.Close()
}

// What becomes of a request whose client leaves, by what the handler does then.
func TestClientsThatLeave(t *testing.T) {
	arrived := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	mux.HandleFunc("/answers", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		io.WriteString(w, "hello")
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		w.WriteHeader(http.StatusBadGateway)
	})
	mux.HandleFunc("/aborts", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/download", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil || r.Context().Err() != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/breaks", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				panic(http.ErrAbortHandler)
			}
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/tidies", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		w.Write(make([]byte, 100_000))
		arrived <- struct{}{}
		<-r.Context().Done() // the client has all of it
	})
	for _, http2 := range []bool{false, true} {
		f := newFate(t, http2, mux, middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute}))
		for _, tt := range []struct {
			path string
			read int64
			want middleware.Result
		}{
			{"/silent", 0, middleware.ResultCancelled},
			{"/answers", 0, middleware.ResultCancelled},
			{"/fails", 0, middleware.ResultCancelled},
			{"/aborts", 0, middleware.ResultCancelled},
			{"/download", 1, middleware.ResultCancelled},
			{"/stream", 1, middleware.ResultSuccess},
			{"/breaks", 1, middleware.ResultCancelled},
			{"/tidies", 100_000, middleware.ResultSuccess},
		} {
			t.Run(fmt.Sprintf("HTTP2 %v%s", http2, tt.path), func(t *testing.T) {
				leave := arrived
				if tt.read > 0 && tt.path != "/tidies" {
					leave = nil
				}
				f.visit(t, tt.path, tt.read, leave)
				if e := f.event(t); e.Result() != tt.want || e.Panicked {
					t.Errorf("%s: %+v, want %s", e.Result(), e, tt.want)
				}
			})
		}
	}
}

// A proxy breaks the response off when either end is lost. Which it was makes
// the difference.
func TestProxiedStreams(t *testing.T) {
	stream := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
	for name, tt := range map[string]struct {
		backend http.HandlerFunc
		read    int64
		opts    []middleware.Option
		want    middleware.Result
	}{
		"the client leaves": {stream, 100 << 10, nil, middleware.ResultCancelled},
		"the backend breaks off": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, 1 << 40, nil, middleware.ResultAborted},
		"the deadline passes": {stream, 1 << 40,
			[]middleware.Option{middleware.WithDeadlines(middleware.Deadlines{Max: 500 * time.Millisecond})}, middleware.ResultTimeout},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", HTTP2 ", http2), func(t *testing.T) {
				backend := httptest.NewUnstartedServer(tt.backend)
				backend.Config.ErrorLog = quiet
				backend.Start()
				defer backend.Close()
				u, err := url.Parse(backend.URL)
				if err != nil {
					t.Fatal(err)
				}
				proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, ErrorLog: quiet}
				f := newFate(t, http2, proxy, tt.opts...)
				f.visit(t, "/", tt.read, nil)
				if e := f.event(t); e.Result() != tt.want || e.Panicked || !e.Aborted {
					t.Errorf("%s: %+v, want %s", e.Result(), e, tt.want)
				}
			})
		}
	}
}

// Where a client leaves and the deadline passes before the handler has ended,
// it is the deadline: HTTP/2 resets a stream for it, and that looks the same.
func TestClientsThatLeaveByTheDeadline(t *testing.T) {
	for lasts, want := range map[time.Duration]middleware.Result{
		999 * time.Millisecond: middleware.ResultCancelled,
		time.Second:            middleware.ResultTimeout,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			var seen middleware.Event
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(lasts - time.Millisecond)
				leave()
				time.Sleep(time.Millisecond)
			}, middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { seen = e },
			}))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			if seen.Result() != want {
				t.Errorf("after %v: %s, want %s", lasts, seen.Result(), want)
			}
		})
	}
}

// failingWriter fails to write, and to flush.
type failingWriter struct {
	fakeWriter
	err error
}

func (w *failingWriter) Write([]byte) (int, error)                 { return 0, w.err }
func (w *failingWriter) FlushError() error                         { return w.err }
func (w *failingWriter) ReadFrom(r io.Reader) (n int64, err error) { return 0, w.err }

// A write that fails tells that the client has left before its context does,
// unless it is the handler that is wrong, or the source of what it copies.
func TestWritesThatFail(t *testing.T) {
	reset := &net.OpError{Op: "write", Err: errors.New("connection reset by peer")}
	for _, tt := range []struct {
		name string
		err  error
		want [2]middleware.Result // if the handler returns, if it aborts
	}{
		{"reset", reset, [2]middleware.Result{middleware.ResultCancelled, middleware.ResultCancelled}},
		{"stream closed", errors.New("http2: stream closed"), [2]middleware.Result{middleware.ResultCancelled, middleware.ResultCancelled}},
		{"deadline", fmt.Errorf("write: %w", os.ErrDeadlineExceeded), [2]middleware.Result{middleware.ResultTimeout, middleware.ResultTimeout}},
		{"no body allowed", http.ErrBodyNotAllowed, [2]middleware.Result{middleware.ResultSuccess, middleware.ResultAborted}},
		{"more than was announced", http.ErrContentLength, [2]middleware.Result{middleware.ResultSuccess, middleware.ResultAborted}},
		{"the source", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, [2]middleware.Result{middleware.ResultSuccess, middleware.ResultAborted}},
	} {
		for name, write := range map[string]func(w http.ResponseWriter){
			"Write":    func(w http.ResponseWriter) { w.Write([]byte("x")) },
			"string":   func(w http.ResponseWriter) { io.WriteString(w, "x") },
			"flush":    func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
			"ReadFrom": func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
		} {
			for i, want := range tt.want {
				var seen middleware.Event
				h := build(t, func(w http.ResponseWriter, r *http.Request) {
					write(w)
					if i == 1 {
						panic(http.ErrAbortHandler)
					}
				}, middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { seen = e }}))
				func() {
					defer func() { recover() }()
					h.ServeHTTP(&failingWriter{fakeWriter{header: http.Header{}}, tt.err}, httptest.NewRequest("GET", "/", nil))
				}()
				if seen.Result() != want {
					t.Errorf("%s by %s: %s, want %s", tt.name, name, seen.Result(), want)
				}
			}
		}
	}
}

// The panic that passes on is the one that came.
func TestPanicsPassOn(t *testing.T) {
	bug := errors.New("bug")
	for _, tt := range []struct {
		panicked any
		want     middleware.Result
	}{
		{http.ErrAbortHandler, middleware.ResultAborted},
		{fmt.Errorf("wrapped: %w", http.ErrAbortHandler), middleware.ResultPanicked}, // as net/http sees it
		{bug, middleware.ResultPanicked},
		{"bug", middleware.ResultPanicked},
	} {
		var seen middleware.Event
		h := build(t, func(http.ResponseWriter, *http.Request) { panic(tt.panicked) }, middleware.WithObserver(middleware.Observer{
			OnRequest: func(_ context.Context, e middleware.Event) { seen = e },
		}))
		func() {
			defer func() {
				if p := recover(); p != tt.panicked {
					t.Errorf("panic %v, want %v", p, tt.panicked)
				}
			}()
			serve(h, "GET")
		}()
		if seen.Result() != tt.want {
			t.Errorf("%v: %s, want %s", tt.panicked, seen.Result(), tt.want)
		}
	}
}

// A deadline that passes is the server's word only where the handler had none.
func TestDeadlinesThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			write func(http.ResponseWriter)
			want  middleware.Result
		}{
			"no answer": {func(http.ResponseWriter) {}, middleware.ResultTimeout},
			"its own":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, middleware.ResultUnavailable},
			"a success": {func(w http.ResponseWriter) { io.WriteString(w, "late") }, middleware.ResultSuccess},
		} {
			var seen middleware.Event
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				tt.write(w)
			}, middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { seen = e },
			}))
			if serve(h, "GET"); seen.Result() != tt.want {
				t.Errorf("%s: %s, want %s", name, seen.Result(), tt.want)
			}
		}
	})
}
