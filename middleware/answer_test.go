package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// What is left of a quota is said once, with the answer, and so is what the
// middleware adds to it.
func TestInformationalResponsesHaveNoLimits(t *testing.T) {
	rate := middleware.Rate{Quota: middleware.Quota{Requests: 100, Per: time.Hour}}
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hello")
	}
	upstream := httptest.NewServer(http.HandlerFunc(handler))
	defer upstream.Close()
	to, _ := url.Parse(upstream.URL)
	// A reverse proxy clears the header after each informational response.
	for name, h := range map[string]http.HandlerFunc{"handler": handler, "proxy": httputil.NewSingleHostReverseProxy(to).ServeHTTP} {
		for _, http2 := range []bool{false, true} {
			srv := httptest.NewUnstartedServer(build(t, h, middleware.WithRate(rate), middleware.WithAttempts()))
			srv.EnableHTTP2 = http2
			srv.StartTLS()
			var codes []int
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				codes = append(codes, code)
				for field := range h {
					if field != "Link" {
						t.Errorf("%s: %d has %s", name, code, field)
					}
				}
				return nil
			}})
			req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			req.Header.Set("Retry-Attempt", "2")
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if fmt.Sprint(codes) != "[102 103]" {
				t.Errorf("%s: informational responses %v, want 102 and 103", name, codes)
			}
			for _, field := range []string{"RateLimit", "RateLimit-Policy", "Retry-Attempt"} {
				if got := resp.Header.Values(field); len(got) != 1 || got[0] == "" {
					t.Errorf("%s: %s %q in the answer, want one", name, field, got)
				}
			}
			srv.Close()
		}
	}
}

// net/http logs the line of a handler that writes the header twice, or on a
// connection that is not its any more, as it does without the middleware.
func TestSecondWriteHeaderIsLoggedWithTheHandlersLine(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"superfluous response.WriteHeader call": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			w.WriteHeader(500)
		},
		"response.WriteHeader on hijacked connection": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			w.WriteHeader(500)
		},
	} {
		var lines []string
		for _, around := range []func(http.Handler) http.Handler{
			func(h http.Handler) http.Handler { return h },
			func(h http.Handler) http.Handler { return build(t, h.ServeHTTP, middleware.WithAttempts()) },
		} {
			logged := make(chan string, 10)
			srv := httptest.NewUnstartedServer(around(h))
			srv.Config.ErrorLog = log.New(lineWriter(logged), "", 0)
			srv.Start()
			resp, err := http.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			lines = append(lines, <-logged)
			srv.Close()
		}
		if lines[0] != lines[1] || !hasAll(lines[0], name, "answer_test.go") {
			t.Errorf("logged %q, want what is logged without the middleware: %q", lines[1], lines[0])
		}
	}
}

type lineWriter chan string

func (l lineWriter) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// After a hijack the event keeps what was sent before, whatever the handler
// still tries to write, and a hijack that went another way is noticed by it.
func TestWritesAfterAHijack(t *testing.T) {
	for name, tt := range map[string]struct {
		way   func(outer, w http.ResponseWriter) http.Hijacker
		write func(http.ResponseWriter)
	}{
		"header":             {func(_, w http.ResponseWriter) http.Hijacker { return w.(http.Hijacker) }, func(w http.ResponseWriter) { w.WriteHeader(500) }},
		"body":               {func(_, w http.ResponseWriter) http.Hijacker { return w.(http.Hijacker) }, func(w http.ResponseWriter) { w.Write([]byte("x")) }},
		"copy":               {func(_, w http.ResponseWriter) http.Hijacker { return w.(http.Hijacker) }, func(w http.ResponseWriter) { io.Copy(w, strings.NewReader("x")) }},
		"flush":              {func(_, w http.ResponseWriter) http.Hijacker { return w.(http.Hijacker) }, func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }},
		"body, another way":  {func(outer, _ http.ResponseWriter) http.Hijacker { return outer.(http.Hijacker) }, func(w http.ResponseWriter) { io.WriteString(w, "x") }},
		"bytes, another way": {func(outer, _ http.ResponseWriter) http.Hijacker { return outer.(http.Hijacker) }, func(w http.ResponseWriter) { w.Write([]byte("x")) }},
	} {
		events := make(chan middleware.Event, 1)
		var outer http.ResponseWriter
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := tt.way(outer, w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
			tt.write(w)
		}, middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { events <- e }}))
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer = w
			h.ServeHTTP(w, r)
		}))
		srv.Config.ErrorLog = quiet
		srv.Start()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
			t.Errorf("%s: something was written", name)
		}
		conn.Close()
		if e := <-events; !e.Hijacked || e.Status != 0 || e.Bytes != 0 {
			t.Errorf("%s: hijacked %v, status %d, %d bytes; want a hijack and nothing sent", name, e.Hijacked, e.Status, e.Bytes)
		}
		srv.Close()
	}
}
