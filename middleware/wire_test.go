package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

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

type fakeWriter struct{ header http.Header }

func (w *fakeWriter) Header() http.Header                 { return w.header }
func (w *fakeWriter) WriteHeader(int)                     {}
func (w *fakeWriter) Write(p []byte) (int, error)         { return len(p), nil }
func (w *fakeWriter) Flush()                              {}
func (w *fakeWriter) CloseNotify() <-chan bool            { return nil }
func (w *fakeWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
func (w *fakeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.ErrUnsupported
}
