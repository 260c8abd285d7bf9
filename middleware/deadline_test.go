package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// deadlineWriter notes the deadlines that it is given, as what they leave: "none"
// and "past" are said so.
type deadlineWriter struct {
	fakeWriter
	reads, writes []string
}

func (w *deadlineWriter) SetReadDeadline(at time.Time) error {
	w.reads = append(w.reads, left(at))
	return nil
}

func (w *deadlineWriter) SetWriteDeadline(at time.Time) error {
	w.writes = append(w.writes, left(at))
	return nil
}

func left(at time.Time) string {
	switch d := time.Until(at); {
	case at.IsZero():
		return "none"
	case d < 0:
		return "past"
	default:
		return d.String()
	}
}

// The deadlines of a connection are those of the server and the handler, until the
// time of the request is over.
func TestDeadlinesOfTheConnection(t *testing.T) {
	write := func(n int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, n)) }
	}
	then := func(steps ...func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, step := range steps {
				step(w, r)
			}
		}
	}
	late := func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) }
	own := func(d time.Duration) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			at := time.Time{}
			if d > 0 {
				at = time.Now().Add(d)
			}
			c := http.NewResponseController(w)
			if err := errors.Join(c.SetWriteDeadline(at), c.SetReadDeadline(at)); err != nil {
				t.Error(err)
			}
		}
	}
	readAll := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	for _, tt := range []struct {
		name          string
		handler       func(http.ResponseWriter, *http.Request)
		reads, writes string
	}{
		{name: "in time", handler: then(readAll, write(1<<20))},
		{name: "small and late", handler: then(readAll, write(2000), late)},
		{name: "large and late", handler: then(readAll, write(3000), late), writes: "past"},
		{name: "late and then large", handler: then(readAll, late, write(3000)), writes: "past"},
		{name: "a body that is not read", handler: late, reads: "past"},
		{name: "the handler lifts them", handler: then(own(0), write(3000), late), reads: "none", writes: "none"},
		{name: "the handler lifts them later", handler: then(write(3000), own(0), late, write(3000)), reads: "none", writes: "none"},
		{name: "the handler takes longer", handler: then(own(time.Hour), write(3000), late), reads: "1h0m0s", writes: "1h0m0s"},
		{name: "the handler takes over when it is late", handler: then(write(3000), late, own(time.Hour), write(3000), late), reads: "past 1h0m0s", writes: "past 1h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &deadlineWriter{fakeWriter: fakeWriter{header: http.Header{}}}
				h := build(t, tt.handler, middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}))
				r, _ := http.NewRequest("POST", "/", strings.NewReader("body"))
				h.ServeHTTP(w, r)
				time.Sleep(time.Minute) // what was left behind would happen now
				if reads, writes := strings.Join(w.reads, " "), strings.Join(w.writes, " "); reads != tt.reads || writes != tt.writes {
					t.Errorf("read deadlines %q, want %q; write deadlines %q, want %q", reads, tt.reads, writes, tt.writes)
				}
			})
		})
	}
}

// pipes is a listener within the process, so that time can be fake.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.IPAddr{} }

// over serves h as srv does and calls f with a client for it.
func over(t *testing.T, srv *http.Server, h http.Handler, http2 bool, f func(*http.Client)) {
	t.Helper()
	listener := make(pipes)
	srv.Handler, srv.Protocols, srv.ErrorLog = h, new(http.Protocols), quiet
	srv.Protocols.SetHTTP1(!http2)
	srv.Protocols.SetUnencryptedHTTP2(http2)
	go srv.Serve(listener)
	base := &http.Transport{Protocols: srv.Protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		listener <- server
		return client, nil
	}}
	f(&http.Client{Transport: base})
	base.CloseIdleConnections()
	srv.Close()
	time.Sleep(time.Minute) // handlers end
}

// outcome is what a client gets: how many bytes, and whether that was all.
func outcome(c *http.Client, lines []string, body io.Reader) string {
	req, _ := http.NewRequest("POST", "http://x.test/", body)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "no answer"
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return "cut"
	case n == 0:
		return "empty"
	}
	return resp.Status[:3] + " whole"
}

// slowly yields its text after a while.
type slowly struct {
	after time.Duration
	text  *strings.Reader
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(s.after)
	s.after = 0
	return s.text.Read(p)
}

// What the server would deliver without the middleware it delivers with it, and
// what it would cut it cuts.
func TestDeadlinesCutNothingElse(t *testing.T) {
	stream := func(lift bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			if lift {
				c.SetWriteDeadline(time.Time{})
			}
			for range 30 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 4000)); err != nil {
					return
				}
				if c.Flush() != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	late := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(400 * time.Millisecond)
		w.Write(make([]byte, 64<<10))
	})
	upload := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading the body: %v", err)
			}
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "read")
	})
	body := func() io.Reader { return &slowly{time.Second, strings.NewReader("body")} }
	for _, tt := range []struct {
		name    string
		handler http.Handler
		read    time.Duration // ReadTimeout of the server
		write   time.Duration // WriteTimeout
		max     time.Duration
		lines   []string
		body    func() io.Reader
		want    string
	}{
		{name: "an answer after WriteTimeout", handler: late, write: 200 * time.Millisecond, max: time.Minute, want: "no answer"},
		{name: "an answer within WriteTimeout", handler: late, write: time.Second, max: time.Minute, want: "200 whole"},
		{name: "a stream beyond WriteTimeout", handler: stream(false), write: time.Second, max: time.Minute, want: "cut"},
		{name: "a stream that lifts WriteTimeout", handler: stream(true), write: time.Second, max: 500 * time.Millisecond, want: "200 whole"},
		{name: "a stream that lifts the deadline", handler: stream(true), max: time.Second, want: "200 whole"},
		{name: "a stream beyond the deadline", handler: stream(false), max: time.Second, want: "cut"},
		{name: "an upload after ReadTimeout", handler: upload, read: 500 * time.Millisecond, max: time.Minute, body: body, want: "no answer"},
		{name: "an upload within ReadTimeout", handler: upload, read: 2 * time.Second, max: time.Minute, body: body, want: "200 whole"},
		{name: "an upload beyond the deadline", handler: upload, read: time.Minute, max: 500 * time.Millisecond, body: body, want: "no answer"},
		{name: "a stream beyond the call's end", handler: stream(false), lines: []string{"Request-Timeout-Ms: 1000"}, want: "cut"},
		{name: "a stream beyond the attempt's end", handler: stream(false), lines: []string{"Request-Attempt-Timeout-Ms: 1000"}, want: "200 whole"},
		{name: "a stream beyond a proxy's attempt", handler: stream(false), lines: []string{"X-Envoy-Expected-Rq-Timeout-Ms: 1000"}, want: "200 whole"},
		{name: "a stream beyond an SDK's attempt", handler: stream(false), lines: []string{"X-Stainless-Timeout: 1", "Amz-Sdk-Request: attempt=1; ttl=20000101T000001Z"}, want: "200 whole"},
		{name: "a stream that is preferred sooner", handler: stream(false), lines: []string{"Prefer: wait=1, respond-async"}, want: "200 whole"},
		{name: "an upload beyond the attempt's end", handler: upload, lines: []string{"Request-Attempt-Timeout-Ms: 500"}, body: body, want: "200 whole"},
		{name: "an answer beyond the attempt's end", handler: late, lines: []string{"Request-Attempt-Timeout-Ms: 100"}, want: "200 whole"},
		{name: "no time for an attempt at all", handler: late, lines: []string{"Request-Attempt-Timeout-Ms: 0", "Prefer: wait=0"}, want: "200 whole"},
	} {
		for proto, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
			t.Run(tt.name+"/"+proto, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{}), middleware.WithDeadlines(middleware.Deadlines{Max: tt.max}), middleware.WithAttempts())
					if err != nil {
						t.Fatal(err)
					}
					over(t, &http.Server{ReadTimeout: tt.read, WriteTimeout: tt.write}, wrap(tt.handler), http2, func(c *http.Client) {
						body := io.Reader(http.NoBody)
						if tt.body != nil {
							body = tt.body()
						}
						if got := outcome(c, tt.lines, body); got != tt.want {
							t.Errorf("%s, want %s", got, tt.want)
						}
					})
				})
			})
		}
	}
}

// A request whose time is over while the handler is still busy leaves no deadline
// to the next on its connection.
func TestNextRequestAfterADeadline(t *testing.T) {
	for _, writeTimeout := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "3000")
				w.Write(make([]byte, 3000))
				http.NewResponseController(w).Flush()
				time.Sleep(2 * time.Second)
			}, middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}))
			over(t, &http.Server{WriteTimeout: writeTimeout}, h, false, func(c *http.Client) {
				for i := range 3 {
					if got := outcome(c, nil, http.NoBody); got != "200 whole" {
						t.Errorf("WriteTimeout %v: request %d is %s, want it whole", writeTimeout, i, got)
					}
					time.Sleep(3 * time.Second)
				}
			})
		})
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
