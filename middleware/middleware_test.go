package middleware_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func build(t testing.TB, h http.HandlerFunc, opts ...middleware.Option) http.Handler {
	t.Helper()
	wrap, err := middleware.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(h)
}

func serve(h http.Handler, method string, lines ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// full is a handler whose one slot is taken until the test ends.
func full(t *testing.T, opts ...middleware.Option) http.Handler {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	h := build(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
	}, append([]middleware.Option{middleware.WithConcurrency(1)}, opts...)...)
	done := make(chan struct{})
	go func() { serve(h, "GET"); close(done) }()
	<-entered
	t.Cleanup(func() { close(release); <-done })
	return h
}

func TestShedding(t *testing.T) {
	h := full(t)
	seconds := map[string]bool{}
	for range 50 {
		resp := serve(h, "POST")
		ms, err := strconv.Atoi(resp.Header.Get("Retry-After-Ms"))
		if resp.StatusCode != 503 || err != nil || ms < 1000 || ms > 3000 {
			t.Fatalf("%d with Retry-After-Ms %q, want 503 and 1000 to 3000", resp.StatusCode, resp.Header.Get("Retry-After-Ms"))
		}
		if got, want := resp.Header.Get("Retry-After"), fmt.Sprint((ms+999)/1000); got != want {
			t.Errorf("Retry-After %s for %d ms, want %s", got, ms, want)
		}
		seconds[resp.Header.Get("Retry-After-Ms")] = true
		for name, want := range map[string]string{"X-Should-Retry": "true", "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if len(seconds) < 40 {
		t.Errorf("only %d different waits for 50 clients, which would come back together", len(seconds))
	}
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	resp := serve(h, "GET", "Accept: text/html, application/json;q=0.9")
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || problem.Status != 503 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem %+v, %v, %s", problem, err, resp.Header.Get("Content-Type"))
	}
	if b, _ := io.ReadAll(serve(h, "HEAD").Body); len(b) != 0 {
		t.Errorf("the answer to HEAD has a body: %q", b)
	}
}

func TestDryRunRefusesNothing(t *testing.T) {
	var events []middleware.Event
	h := full(t, middleware.WithDryRun(), middleware.WithDeadlines(middleware.Deadlines{}), middleware.WithObserver(middleware.Observer{
		OnRequest: func(_ context.Context, e middleware.Event) { events = append(events, e) },
	}))
	if resp := serve(h, "GET"); resp.StatusCode != 200 {
		t.Errorf("%d, want 200", resp.StatusCode)
	}
	if len(events) != 1 || events[0].Shed != middleware.ShedConcurrency || !events[0].DryRun || events[0].Status != 200 {
		t.Errorf("events %+v, want one that would have been shed", events)
	}
}

func TestAttempts(t *testing.T) {
	var info middleware.Info
	var ok bool
	handler := func(w http.ResponseWriter, r *http.Request) { info, ok = middleware.FromContext(r.Context()) }
	for _, tt := range []struct {
		lines []string
		opts  []middleware.Option
		want  middleware.Info
		echo  string
	}{
		{lines: []string{`Retry-Attempt: 2;max=3;id="a1"`}, want: middleware.Info{Attempt: 2, MaxAttempts: 3, CallID: "a1"}, echo: "2"},
		{lines: []string{"X-Stainless-Retry-Count: 2"}, want: middleware.Info{Attempt: 3}, echo: "3"},
		{lines: []string{"Retry-Attempt: -7"}},
		{lines: []string{"Retry-Attempt: 1", "Retry-Attempt: 2"}},
		{},
		{lines: []string{"Retry-Attempt: 2"}, opts: []middleware.Option{middleware.WithTrust(func(*http.Request) bool { return false })}},
	} {
		resp := serve(build(t, handler, append(tt.opts, middleware.WithAttempts())...), "GET", tt.lines...)
		if !ok || info != tt.want || resp.Header.Get("Retry-Attempt") != tt.echo {
			t.Errorf("%q: %+v, %v, echo %q; want %+v and %q", tt.lines, info, ok, resp.Header.Get("Retry-Attempt"), tt.want, tt.echo)
		}
	}
	serve(build(t, handler), "GET")
	if ok {
		t.Error("there is Info without WithAttempts")
	}
}

func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lines  []string
		limits middleware.Deadlines
		want   time.Duration // 0: none
		status int
	}{
		{"none", nil, middleware.Deadlines{}, 0, 200},
		{"the client's", []string{"Request-Timeout-Ms: 1500"}, middleware.Deadlines{}, 1500 * time.Millisecond, 200},
		{"the shorter of two", []string{"Request-Timeout-Ms: 1500", "Grpc-Timeout: 1S"}, middleware.Deadlines{Max: time.Minute}, time.Second, 200},
		{"only shortens", []string{"Request-Timeout-Ms: 99999999999999"}, middleware.Deadlines{Max: time.Second}, time.Second, 200},
		{"default", nil, middleware.Deadlines{Max: time.Minute, Default: time.Second}, time.Second, 200},
		{"max without a header", nil, middleware.Deadlines{Max: time.Minute}, time.Minute, 200},
		{"expired", []string{"Request-Timeout-Ms: 0"}, middleware.Deadlines{}, 0, 504},
		{"nonsense", []string{"Request-Timeout-Ms: -5"}, middleware.Deadlines{}, 0, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			ran := false
			var got time.Duration
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				ran = true
				if d, ok := r.Context().Deadline(); ok {
					got = time.Until(d)
				}
				if info, _ := middleware.FromContext(r.Context()); info.Deadline.IsZero() != (got == 0) {
					t.Errorf("%s: Info has the deadline %v", tt.name, info.Deadline)
				}
			}, middleware.WithDeadlines(tt.limits))
			resp := serve(h, "GET", tt.lines...)
			if resp.StatusCode != tt.status || got != tt.want || ran != (tt.status == 200) {
				t.Errorf("%s: %d with %v left, ran %v; want %d and %v", tt.name, resp.StatusCode, got, ran, tt.status, tt.want)
			}
			if tt.status == 504 && (resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("Retry-After") != "") {
				t.Errorf("%s: header %v, want no retry and no time for one", tt.name, resp.Header)
			}
		})
	}
}

func TestHandlerThatOutlivesItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			write bool
			want  int
		}{{false, 504}, {true, 201}} {
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.write {
					w.WriteHeader(201)
				}
				<-r.Context().Done()
			}, middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}))
			if resp := serve(h, "GET"); resp.StatusCode != tt.want {
				t.Errorf("writing %v: %d, want %d", tt.write, resp.StatusCode, tt.want)
			}
		}
	})
}

// What the observer sees is what went over the wire, in the cases that
// ResponseWriter wrappers are known to get wrong.
func TestRecordedStatusIsTheWire(t *testing.T) {
	cases := map[string]struct {
		handler http.HandlerFunc
		want    middleware.Event
	}{
		"103 then 201": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(201) }, middleware.Event{Status: 201}},
		"500 then 200": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); w.WriteHeader(200) }, middleware.Event{Status: 500}},
		"201 then 103": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); w.WriteHeader(103) }, middleware.Event{Status: 201}},
		"body then 500": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "he")
			w.WriteHeader(500)
			io.WriteString(w, "llo")
		}, middleware.Event{Status: 200, Bytes: 5}},
		"103, 102, copy, 503": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(102)
			io.Copy(w, strings.NewReader("hello"))
			w.WriteHeader(503)
		}, middleware.Event{Status: 200, Bytes: 5}},
		"204 with a body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			io.WriteString(w, "hello")
		}, middleware.Event{Status: 204}},
		"nothing":        {func(w http.ResponseWriter, r *http.Request) {}, middleware.Event{Status: 200}},
		"flush then 500": {func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, middleware.Event{Status: 200}},
		"controller flush": {func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			w.WriteHeader(500)
		}, middleware.Event{Status: 200}},
		"copy":            {func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader("hello")) }, middleware.Event{Status: 200, Bytes: 5}},
		"empty copy, 404": {func(w http.ResponseWriter, r *http.Request) { io.Copy(w, strings.NewReader("")); w.WriteHeader(404) }, middleware.Event{Status: 404}},
		"string":          {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, middleware.Event{Status: 200, Bytes: 5}},
		"deadline": {func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				panic(err)
			}
			w.WriteHeader(202)
		}, middleware.Event{Status: 202}},
	}
	for _, http2 := range []bool{false, true} {
		for name, tt := range cases {
			events := make(chan middleware.Event, 1)
			srv := httptest.NewUnstartedServer(build(t, tt.handler, middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { events <- e },
			})))
			srv.EnableHTTP2 = http2
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			srv.StartTLS()
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			e := <-events
			if e.Status != resp.StatusCode || e.Status != tt.want.Status || e.Bytes != tt.want.Bytes {
				t.Errorf("%s over %s: recorded %d and %d bytes, the wire had %d, want %+v", name, resp.Proto, e.Status, e.Bytes, resp.StatusCode, tt.want)
			}
			srv.Close()
		}
	}
}

func TestInformationalTrailersAndUpgrade(t *testing.T) {
	srv := httptest.NewServer(build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			rw.Flush()
			io.CopyN(conn, rw, 5)
			return
		}
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "hello")
		w.Header().Set("Sum", "5")
	}, middleware.WithConcurrency(1), middleware.WithAttempts()))
	defer srv.Close()
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = code; return nil },
	})
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if hints != 103 || resp.Trailer.Get("Sum") != "5" {
		t.Errorf("informational %d and trailer %v, want 103 and Sum: 5", hints, resp.Trailer)
	}
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
	b, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(b), "\r\n\r\nhello") {
		t.Errorf("upgraded connection: %q, %v", b, err)
	}
}

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

type fakeWriter struct{ header http.Header }

func (w *fakeWriter) Header() http.Header                 { return w.header }
func (w *fakeWriter) WriteHeader(int)                     {}
func (w *fakeWriter) Write(p []byte) (int, error)         { return len(p), nil }
func (w *fakeWriter) Flush()                              {}
func (w *fakeWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
func (w *fakeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.ErrUnsupported
}

func TestExemptAndMux(t *testing.T) {
	var pattern string
	wrap, err := middleware.New(middleware.WithConcurrency(1), middleware.WithAttempts(),
		middleware.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/healthz" }), middleware.WithExempt(nil),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { pattern = e.Pattern }}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("id")) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*fakeWriter); !ok {
			t.Errorf("an exempt request got a %T", w)
		}
	})
	h := wrap(mux)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/users/7", nil))
	if pattern != "GET /users/{id}" || w.Body.String() != "7" {
		t.Errorf("pattern %q, body %q", pattern, w.Body)
	}
	pattern = ""
	h.ServeHTTP(&fakeWriter{header: http.Header{}}, httptest.NewRequest("GET", "/healthz", nil))
	if pattern != "" {
		t.Error("an exempt request was reported")
	}
}

func TestLogNamesNoURL(t *testing.T) {
	var out strings.Builder
	h := full(t, middleware.WithObserver(middleware.Log(slog.New(slog.NewTextHandler(&out, nil)))))
	r := httptest.NewRequest("GET", "/?token=secret", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got := out.String(); !strings.Contains(got, "reason=concurrency") || strings.Contains(got, "secret") || strings.Count(got, "\n") != 1 {
		t.Errorf("log: %q", got)
	}
	middleware.Log(nil)
}

func TestMistakes(t *testing.T) {
	_, err := middleware.New(nil, middleware.WithConcurrency(0), middleware.WithDeadlines(middleware.Deadlines{Max: -1, Default: -2}))
	for _, want := range []string{"WithConcurrency(0): want", "Max -1ns: want", "Default -2ns: want"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// A handler that is missing is found when it is wrapped, not by its first
// request.
func TestNilHandler(t *testing.T) {
	wrap, err := middleware.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got, want := recover(), "middleware: nil handler"; got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	wrap(nil)
}
