package idempotency_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// serving starts a server, and returns how to send it a POST with a key.
func serving(t *testing.T, handler http.Handler) func(r *http.Request) *http.Response {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.Client().CloseIdleConnections)
	return func(r *http.Request) *http.Response {
		t.Helper()
		out, err := http.NewRequestWithContext(r.Context(), r.Method, server.URL+"/payments?currency=EUR", r.Body)
		if err != nil {
			t.Fatal(err)
		}
		out.Header, out.ContentLength = r.Header, r.ContentLength
		resp, err := server.Client().Do(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
}

// What net/http does for a handler it does behind the middleware too, and a replay is
// the same again.
func TestOverTheWire(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int
		body    string
		header  map[string]string
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, 200, "", map[string]string{"Content-Length": "0"}},
		{"sniffed", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, 200, "<html>", map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{"204", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				t.Errorf("Write after 204: %v, want %v", err, http.ErrBodyNotAllowed)
			}
		}, 204, "", nil},
		{"304", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				t.Errorf("WriteString after 304: %v, want %v", err, http.ErrBodyNotAllowed)
			}
		}, 304, "", map[string]string{"Etag": `"x"`}},
		{"the first status counts", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			w.WriteHeader(500)
		}, 202, "", nil},
		{"a header set too late", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/a")
			w.WriteHeader(201)
			w.Header().Set("Location", "/b")
		}, 201, "", map[string]string{"Location": "/a"}},
		{"a body of 100 KiB", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				w.Write(bytes.Repeat([]byte("x"), 1<<10))
			}
		}, 200, strings.Repeat("x", 100<<10), nil},
		{"a Content-Length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
		}, 200, "abc", map[string]string{"Content-Length": "3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t, idempotency.NewMemory(0), tt.handler)
			send := serving(t, k.handler)
			for i := range 2 {
				resp := send(request("k", "{}"))
				if got := bodyOf(t, resp); resp.StatusCode != tt.status || got != tt.body {
					t.Errorf("answer %d: got %d with %d bytes, want %d with %d", i+1, resp.StatusCode, len(got), tt.status, len(tt.body))
				}
				for name, want := range tt.header {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("answer %d: %s %q, want %q", i+1, name, got, want)
					}
				}
			}
		})
	}
}

// Informational responses pass at once, and are not kept.
func TestInformational(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(201)
	})
	send := serving(t, k.handler)
	for _, want := range []int{1, 0} {
		early := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if early++; code != 103 || h.Get("Link") == "" {
				t.Errorf("got %d with %v, want 103 with a Link", code, h)
			}
			return nil
		}}
		r := request("k", "{}")
		resp := send(r.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if early != want || resp.StatusCode != 201 || resp.Header.Get("Link") != "" {
			t.Errorf("%d early responses, then %d with %v; want %d, and no Link", early, resp.StatusCode, resp.Header, want)
		}
	}
}

// Trailers are sent and not kept.
func TestTrailers(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "body")
		w.Header().Set("X-Announced", "yes")
		w.Header().Set(http.TrailerPrefix+"X-Other", "yes")
		w.Header().Set("X-Late", "no")
	})
	send := serving(t, k.handler)
	resp := send(request("k", "{}"))
	bodyOf(t, resp)
	if resp.Trailer.Get("X-Announced") != "yes" || resp.Trailer.Get("X-Other") != "yes" || resp.Header.Get("X-Late") != "" {
		t.Errorf("trailer %v, header %v", resp.Trailer, resp.Header)
	}
	again := send(request("k", "{}"))
	if got := bodyOf(t, again); got != "body" || len(again.Trailer) > 0 {
		t.Errorf("replay %q with the trailer %v, want none", got, again.Trailer)
	}
}

// A flush makes the answer a stream: the client has it at once, and it is not kept.
func TestFlush(t *testing.T) {
	read := make(chan struct{})
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/stream")
		io.WriteString(w, "one ")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-read
		io.WriteString(w, "two ")
		w.Write([]byte("three"))
	})
	send := serving(t, k.handler)
	resp := send(request("k", "{}"))
	first := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one " {
		t.Fatalf("got %q, %v before the handler returned", first, err)
	}
	close(read)
	if rest := bodyOf(t, resp); rest != "two three" {
		t.Errorf("the rest is %q", rest)
	}
	again := send(request("k", "{}"))
	k.expect("again", again, 409, idempotency.OutcomeNotKept)
	if got := again.Header.Get("Location"); got != "/stream" {
		t.Errorf("Location %q, want that of the stream", got)
	}
}

// A stream that breaks off leaves the outcome unknown.
func TestStreamBreaksOff(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	w := httptest.NewRecorder()
	func() {
		defer func() { recover() }()
		k.handler.ServeHTTP(w, request("k", "{}"))
	}()
	k.expect("again", k.do(request("k", "{}")), 500, idempotency.OutcomeUnknown)
}

// plainWriter can do nothing but what it must.
type plainWriter struct{ http.ResponseWriter }

// The handler's writer can flush if the one inside can, also if that is found only by
// Unwrap. It has nothing that leads past the recorder.
func TestWriterShape(t *testing.T) {
	for _, tt := range []struct {
		name    string
		writer  http.ResponseWriter
		flushes bool
	}{
		{"a Flusher", httptest.NewRecorder(), true},
		{"inside of another", wrapped{httptest.NewRecorder()}, true},
		{"none", plainWriter{httptest.NewRecorder()}, false},
	} {
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
			if _, ok := w.(http.Flusher); ok != tt.flushes {
				t.Errorf("%s: a Flusher is %t, want %t", tt.name, ok, tt.flushes)
			}
			if err := http.NewResponseController(w).Flush(); (err == nil) != tt.flushes {
				t.Errorf("%s: Flush: %v", tt.name, err)
			}
			for what, has := range map[string]bool{
				"Hijacker": is[http.Hijacker](w), "ReaderFrom": is[io.ReaderFrom](w), "Pusher": is[http.Pusher](w),
				"Unwrap": is[interface{ Unwrap() http.ResponseWriter }](w), "CloseNotifier": is[interface{ CloseNotify() <-chan bool }](w),
			} {
				if has {
					t.Errorf("%s: the writer has a %s", tt.name, what)
				}
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: Hijack: %v", tt.name, err)
			}
		})
		k.handler.ServeHTTP(tt.writer, request("k", "{}"))
	}
}

func is[T any](w http.ResponseWriter) bool { _, ok := w.(T); return ok }

type wrapped struct{ inner http.ResponseWriter }

func (w wrapped) Header() http.Header         { return w.inner.Header() }
func (w wrapped) Write(p []byte) (int, error) { return w.inner.Write(p) }
func (w wrapped) WriteHeader(status int)      { w.inner.WriteHeader(status) }
func (w wrapped) Unwrap() http.ResponseWriter { return w.inner }

// Deadlines of the connection can be set.
func TestDeadlinesPass(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour))); err != nil {
			t.Error(err)
		}
	})
	if resp := serving(t, k.handler)(request("k", "{}")); resp.StatusCode != 200 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// An invalid status panics in the handler, as it does in net/http.
func TestInvalidStatus(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(99) })
	if _, thrown := k.serve(t.Context(), request("k", "{}")); thrown == nil {
		t.Error("WriteHeader(99) did not panic")
	}
}

// A client that waits for 100 Continue gets it, and only then sends the body.
func TestExpectContinue(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP)
	send := serving(t, k.handler)
	r := request("k", "{}", "Expect", "100-continue")
	if got := bodyOf(t, send(r)); !strings.Contains(got, `"body":"{}"`) {
		t.Errorf("got %s", got)
	}
}

// A body over the limit is refused before it is read.
func TestTooLargeIsNotRead(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP)
	server := httptest.NewServer(k.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /payments HTTP/1.1\r\nHost: x\r\nX-Caller: ann\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 2<<20)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 413 ") {
		t.Errorf("got %q, %v; want 413", line, err)
	}
}

// A body with a Content-Digest may be of any length. It is verified as it is read.
func TestContentDigest(t *testing.T) {
	large := strings.Repeat("0123456789", 1000)
	digest := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		return "sha-512=:AAAA:, sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	}
	for _, tt := range []struct {
		name, body, digest string
		status             int
		want               idempotency.Outcome
	}{
		{"large", large, digest(large), 201, idempotency.OutcomeFirst},
		{"large, of another body", large, digest("another"), 400, idempotency.OutcomeFirst},
		{"large, without", large, "", 413, idempotency.OutcomeBodyTooLarge},
		{"large, of another kind", large, "sha-512=:AAAA:", 413, idempotency.OutcomeBodyTooLarge},
		{"large, malformed", large, "sha-256=:AAAA:", 413, idempotency.OutcomeBodyTooLarge},
		{"large, two that differ", large, digest(large) + ", " + digest("another"), 413, idempotency.OutcomeBodyTooLarge},
		{"small, of another body", "{}", digest("another"), 201, idempotency.OutcomeFirst}, // what was read is compared
	} {
		for _, length := range []int64{0, -1} {
			t.Run(tt.name, func(t *testing.T) {
				read := func(w http.ResponseWriter, r *http.Request) {
					defer r.Body.Close()
					body, err := io.ReadAll(r.Body)
					if err != nil {
						http.Error(w, err.Error(), 400)
						return
					}
					if string(body) != tt.body {
						t.Errorf("the handler read %d bytes, want %d", len(body), len(tt.body))
					}
					w.WriteHeader(201)
				}
				k := newKit(t, idempotency.NewMemory(0), read, idempotency.MaxBody(1000, 1000))
				r := request("k", tt.body, "Content-Digest", tt.digest)
				r.ContentLength += length * (r.ContentLength + 1)
				k.expect("first", k.do(r), tt.status, tt.want)
				if tt.status != 201 {
					return
				}
				k.expect("again", k.do(request("k", tt.body, "Content-Digest", tt.digest)), 201, idempotency.OutcomeReplayed)
				if tt.name == "large" {
					k.expect("another body", k.do(request("k", tt.body+".", "Content-Digest", digest(tt.body+"."))), 422, idempotency.OutcomeKeyReused)
				}
			})
		}
	}
}

// The client is cut off by the network in the middle: the answer is stored, and the
// retry over another connection gets it.
func TestConnectionIsLost(t *testing.T) {
	began, gone := make(chan struct{}, 1), make(chan struct{})
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		io.WriteString(w, "done")
		close(gone)
	})
	server := httptest.NewServer(k.handler)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/payments?currency=EUR", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = request("k", "").Header
	if resp, err := server.Client().Do(r); err == nil {
		resp.Body.Close()
		t.Fatal("the request was answered, want it cancelled")
	}
	<-gone
	server.Close() // waits for the handler
	k.expect("retry", k.do(request("k", "{}")), 200, idempotency.OutcomeReplayed)
}

// An upgrade that the handler only claims is no answer to repeat.
func TestSwitchingProtocolsIsNotKept(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) })
	k.expect("first", k.do(request("k", "{}")), 101, idempotency.OutcomeUnkept)
	k.expect("again", k.do(request("k", "{}")), 409, idempotency.OutcomeNotKept)
}

// A Fingerprint of one's own needs the whole body, whatever its digest is.
func TestContentDigestIsNoBody(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP, idempotency.MaxBody(5, 100),
		idempotency.Fingerprint(func(_ *http.Request, body []byte) []byte { return body }))
	sum := sha256.Sum256([]byte("123456"))
	r := request("k", "123456", "Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	k.expect("large", k.do(r), 413, idempotency.OutcomeBodyTooLarge)
}
