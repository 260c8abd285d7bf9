package transport_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// Servers that do what no server should. Whatever it is, the call ends by its
// policy, bounded in time and memory, and leaves nothing behind.

// rawServer answers each connection with serve, after the request's header has
// been read, and closes it when serve returns.
type rawServer struct {
	net.Listener
	conns sync.WaitGroup
	count atomic.Int32
	open  sync.Map // of net.Conn
}

func newRawServer(t *testing.T, serve func(conn net.Conn, n int)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{Listener: l}
	s.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.open.Store(conn, true)
			s.conns.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for n := 0; ; n++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					before := s.count.Add(1)
					serve(conn, int(before))
					if req.Header.Get("X-Keep") == "" {
						return
					}
				}
			})
		}
	})
	return s
}

// end closes the server and every connection to it.
func (s *rawServer) end() {
	s.Close()
	s.open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
	s.conns.Wait()
}

// untilClosed blocks until the client has closed the connection.
func untilClosed(conn net.Conn) { io.Copy(io.Discard, conn) }

// endless writes until the client has closed the connection.
func endless(conn net.Conn, s string) {
	b := []byte(strings.Repeat(s, 1+16<<10/len(s)))
	for {
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

func TestHostileServers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name     string
		method   string
		serve    func(conn net.Conn, n int)
		policy   transport.Policy
		attempts int
		stop     transport.StopReason
		status   int // 0: an error
	}{
		{name: "an endless body", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\n\r\n")
			endless(conn, "lorem ipsum ")
		}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "an endless chunked body", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n")
			endless(conn, "5\r\nhello\r\n")
		}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "one endless chunk extension", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5;")
			endless(conn, "x")
		}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "a body that stalls", serve: func(conn net.Conn, n int) {
			if n == 3 {
				io.WriteString(conn, ok)
				return
			}
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhello")
			untilClosed(conn)
		}, attempts: 3, stop: transport.StopSucceeded, status: 200},
		{name: "a compressed body that stalls before it starts", serve: func(conn net.Conn, n int) {
			if n == 3 {
				io.WriteString(conn, ok)
				return
			}
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n")
			untilClosed(conn)
		}, attempts: 3, stop: transport.StopSucceeded, status: 200},
		{name: "the same under an AttemptTimeout", policy: transport.Policy{AttemptTimeout: time.Minute}, serve: func(conn net.Conn, n int) {
			if n == 3 {
				io.WriteString(conn, ok)
				return
			}
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n")
			untilClosed(conn)
		}, attempts: 3, stop: transport.StopSucceeded, status: 200},
		{name: "a bomb", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\n\r\n")
			zw := gzip.NewWriter(conn)
			zeros := make([]byte, 1<<20)
			for range 64 {
				zw.Write(zeros)
			}
			zw.Close()
		}, policy: transport.Policy{AttemptTimeout: time.Minute}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "an absurd Retry-After", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 1, stop: transport.StopRetryAfter, status: 503},
		{name: "a Retry-After that overflows", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 429 No\r\nRetry-After: 18446744074\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 1, stop: transport.StopRetryAfter, status: 429},
		{name: "a Retry-After in 1970", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "a Retry-After in 9999", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 1, stop: transport.StopRetryAfter, status: 503},
		{name: "endless headers", policy: transport.Policy{MaxAttempts: 2}, serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\n")
			endless(conn, "X-Header: value\r\n")
		}, attempts: 2, stop: transport.StopAttempts},
		{name: "one endless header", policy: transport.Policy{MaxAttempts: 2}, serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nX-Header: ")
			endless(conn, "value")
		}, attempts: 2, stop: transport.StopAttempts},
		{name: "a flood of 1xx", policy: transport.Policy{MaxAttempts: 2}, serve: func(conn net.Conn, _ int) {
			endless(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}, attempts: 2, stop: transport.StopAttempts},
		{name: "cut in the status line", serve: func(conn net.Conn, _ int) { io.WriteString(conn, "HTTP/1.1 50") }, attempts: 3, stop: transport.StopAttempts},
		{name: "cut in the header", serve: func(conn net.Conn, _ int) { io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le") }, attempts: 3, stop: transport.StopAttempts},
		{name: "cut in the body of an answer to retry", serve: func(conn net.Conn, n int) {
			if n == 3 {
				io.WriteString(conn, ok)
				return
			}
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhello")
		}, attempts: 3, stop: transport.StopSucceeded, status: 200},
		{name: "no answer", serve: func(net.Conn, int) {}, attempts: 3, stop: transport.StopAttempts},
		{name: "no answer to a POST", method: "POST", serve: func(net.Conn, int) {}, attempts: 1, stop: transport.StopMethod},
		{name: "reset", serve: func(conn net.Conn, _ int) { conn.(*net.TCPConn).SetLinger(0) }, attempts: 3, stop: transport.StopAttempts},
		{name: "silence", policy: transport.Policy{AttemptTimeout: 20 * time.Millisecond}, serve: func(conn net.Conn, _ int) { untilClosed(conn) }, attempts: 3, stop: transport.StopAttempts},
		{name: "garbage", serve: func(conn net.Conn, _ int) { io.WriteString(conn, "\x00\xff\x16\x03\x01 not HTTP at all\n\n") }, attempts: 3, stop: transport.StopAttempts},
		{name: "a status of no class", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 1, stop: transport.StopNotRetryable, status: 999},
		{name: "two lengths", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
		}, attempts: 3, stop: transport.StopAttempts},
		{name: "verdicts that differ", serve: func(conn net.Conn, _ int) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nX-Should-Retry: true\r\nX-Should-Retry: false\r\nContent-Length: 0\r\n\r\n")
		}, attempts: 3, stop: transport.StopAttempts, status: 503},
		{name: "an answer to what was not asked", serve: func(conn net.Conn, n int) {
			io.WriteString(conn, ok+ok+ok)
		}, attempts: 1, stop: transport.StopSucceeded, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			srv := newRawServer(t, tt.serve)
			defer srv.end()
			base := &http.Transport{MaxResponseHeaderBytes: 1 << 20}
			defer base.CloseIdleConnections()
			var told told
			p := tt.policy
			p.BaseDelay, p.MaxDelay = time.Millisecond, time.Millisecond
			rt := build(t, base, unlimited(), told.option(), transport.WithPolicy(p))
			// Far beyond what any of these may take, so that one that hangs fails.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			method := tt.method
			if method == "" {
				method = "GET"
			}
			req, err := http.NewRequestWithContext(ctx, method, "http://"+srv.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := rt.RoundTrip(req)
			runtime.ReadMemStats(&after)
			if (resp == nil) == (err == nil) {
				t.Fatalf("got %v and %v", resp, err)
			}
			status := 0
			if resp != nil {
				status = resp.StatusCode
				resp.Body.Close()
			}
			c := told.calls[0]
			if e := new(transport.Error); status != tt.status || err != nil && errors.As(err, &e) != (c.Attempts > 1 && err != io.EOF) {
				t.Errorf("got %d, %#v; want status %d, and an *Error only after more than one attempt", status, err, tt.status)
			}
			if c.Attempts != tt.attempts || c.Stop != tt.stop || ctx.Err() != nil {
				t.Errorf("%+v (%v), want %d attempts stopped by %s", c, err, tt.attempts, tt.stop)
			}
			limit := uint64(8 << 20)
			if status == 0 {
				limit *= 8 // what net/http makes of a mebibyte of headers, twice
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > limit {
				t.Errorf("allocated %d KiB, want less than %d", n>>10, limit>>10)
			}
		})
	}
}

// A body that breaks off after a success is the caller's to see: part of it
// may have been used.
func TestBodyThatBreaksOff(t *testing.T) {
	srv := newRawServer(t, func(conn net.Conn, _ int) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
	})
	defer srv.end()
	for _, limit := range []time.Duration{0, time.Minute} {
		base := &http.Transport{}
		resp, err := build(t, base, transport.WithPolicy(transport.Policy{AttemptTimeout: limit})).RoundTrip(httptest.NewRequest("GET", "http://"+srv.Addr().String(), nil))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "hello" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("AttemptTimeout %v: read %q, %v; want hello and an unexpected EOF", limit, b, err)
		}
		base.CloseIdleConnections()
	}
	if n := srv.count.Load(); n != 2 {
		t.Errorf("%d requests for two calls", n)
	}
}

// Redirects are http.Client's, which has its own bound.
func TestRedirectLoop(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		http.Redirect(w, r, fmt.Sprint("/", n.Load()), http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	var told told
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: build(t, base, told.option())}
	resp, err := client.Get(srv.URL)
	if err == nil || !strings.Contains(err.Error(), "stopped after 10 redirects") || resp == nil || n.Load() != 10 || len(told.calls) != 10 {
		t.Errorf("%v, %v after %d requests in %d calls; want the client to stop after 10", resp, err, n.Load(), len(told.calls))
	}
	for _, c := range told.calls {
		if c.Attempts != 1 || c.Stop != transport.StopSucceeded {
			t.Errorf("a redirect was no success: %+v", c)
		}
	}
}
