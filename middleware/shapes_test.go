package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

type closeNotifier interface{ CloseNotify() <-chan bool }

// spy is a writer that can do everything and notes what it is asked.
type spy struct {
	fakeWriter
	calls []string
}

func (s *spy) call(name string)                     { s.calls = append(s.calls, name) }
func (s *spy) Flush()                               { s.call("Flush") }
func (s *spy) CloseNotify() <-chan bool             { s.call("CloseNotify"); return nil }
func (s *spy) Push(string, *http.PushOptions) error { s.call("Push"); return nil }
func (s *spy) SetReadDeadline(time.Time) error      { s.call("SetReadDeadline"); return nil }
func (s *spy) SetWriteDeadline(time.Time) error     { s.call("SetWriteDeadline"); return nil }
func (s *spy) EnableFullDuplex() error              { s.call("EnableFullDuplex"); return nil }
func (s *spy) ReadFrom(r io.Reader) (int64, error)  { s.call("ReadFrom"); return io.Copy(io.Discard, r) }
func (s *spy) Write(p []byte) (int, error)          { s.call("Write"); return len(p), nil }
func (s *spy) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.call("Hijack")
	return nil, nil, nil
}

// shapes are writers with every combination of optional methods, all of s.
func shapes(s *spy) []http.ResponseWriter {
	return []http.ResponseWriter{
		struct{ http.ResponseWriter }{s},
		struct {
			http.ResponseWriter
			http.Flusher
		}{s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
		}{s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
		}{s, s, s},
		struct {
			http.ResponseWriter
			io.ReaderFrom
		}{s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			io.ReaderFrom
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			io.ReaderFrom
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			io.ReaderFrom
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Pusher
		}{s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Pusher
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			http.Pusher
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			http.Pusher
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			io.ReaderFrom
			http.Pusher
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			io.ReaderFrom
			http.Pusher
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{s, s, s, s, s},
		struct {
			http.ResponseWriter
			closeNotifier
		}{s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			closeNotifier
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			closeNotifier
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			io.ReaderFrom
			closeNotifier
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			io.ReaderFrom
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			io.ReaderFrom
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			io.ReaderFrom
			closeNotifier
		}{s, s, s, s, s},
		struct {
			http.ResponseWriter
			http.Pusher
			closeNotifier
		}{s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Pusher
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			http.Pusher
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			http.Pusher
			closeNotifier
		}{s, s, s, s, s},
		struct {
			http.ResponseWriter
			io.ReaderFrom
			http.Pusher
			closeNotifier
		}{s, s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			io.ReaderFrom
			http.Pusher
			closeNotifier
		}{s, s, s, s, s},
		struct {
			http.ResponseWriter
			http.Hijacker
			io.ReaderFrom
			http.Pusher
			closeNotifier
		}{s, s, s, s, s},
		struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
			io.ReaderFrom
			http.Pusher
			closeNotifier
		}{s, s, s, s, s, s},
	}
}

// unwrapping hides what it wraps from type assertions, but not from
// http.ResponseController.
type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The ways to each optional method, by assertion.
var asked = []struct {
	name string
	try  func(http.ResponseWriter) bool
}{
	{"Flush", func(w http.ResponseWriter) bool {
		f, ok := w.(http.Flusher)
		if ok {
			f.Flush()
		}
		return ok
	}},
	{"Hijack", func(w http.ResponseWriter) bool {
		h, ok := w.(http.Hijacker)
		if ok {
			h.Hijack()
		}
		return ok
	}},
	{"ReadFrom", func(w http.ResponseWriter) bool {
		r, ok := w.(io.ReaderFrom)
		if ok {
			r.ReadFrom(strings.NewReader("hello"))
		}
		return ok
	}},
	{"Push", func(w http.ResponseWriter) bool {
		p, ok := w.(http.Pusher)
		if ok {
			p.Push("/", nil)
		}
		return ok
	}},
	{"CloseNotify", func(w http.ResponseWriter) bool {
		c, ok := w.(closeNotifier)
		if ok {
			c.CloseNotify()
		}
		return ok
	}},
}

// A handler finds by assertion what the wrapped writer has, no less and no
// more, whatever the combination, and what it calls gets there.
func TestEveryShapeOfWriter(t *testing.T) {
	s := &spy{fakeWriter: fakeWriter{header: http.Header{}}}
	for mask, inner := range shapes(s) {
		for i, method := range asked {
			var event middleware.Event
			free := false
			var h http.Handler
			h = build(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/second" {
					free = true
					return
				}
				if got, want := method.try(w), mask>>i&1 == 1; got != want {
					t.Errorf("%b: has %s: %v, want %v", mask, method.name, got, want)
				}
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/second", nil))
			}, middleware.WithConcurrency(1), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { event = e },
			}))
			s.calls = nil
			h.ServeHTTP(inner, httptest.NewRequest("GET", "/", nil))
			has := mask>>i&1 == 1
			if got := slices.Contains(s.calls, method.name); got != has {
				t.Errorf("%b: %s arrived: %v, want %v", mask, method.name, got, has)
			}
			if want := has && i < 2; free != want {
				t.Errorf("%b: %s gave the slot back: %v, want %v", mask, method.name, free, want)
			}
			if want := has && method.name == "Hijack"; event.Hijacked != want {
				t.Errorf("%b: %s: hijacked %v, want %v", mask, method.name, event.Hijacked, want)
			}
			if want := int64(mask >> 2 & 1 * 5); method.name == "ReadFrom" && event.Bytes != want {
				t.Errorf("%b: %d bytes by ReadFrom, want %d", mask, event.Bytes, want)
			}
		}
	}
}

// http.ResponseController finds through the middleware what it finds without it,
// even if writers further out have to be unwrapped. The middleware notices a flush
// or a hijack that takes this way.
func TestResponseControllerThroughEveryShape(t *testing.T) {
	ways := []struct {
		name string
		do   func(*http.ResponseController) error
	}{
		{"Flush", (*http.ResponseController).Flush},
		{"Hijack", func(c *http.ResponseController) error { _, _, err := c.Hijack(); return err }},
		{"SetReadDeadline", func(c *http.ResponseController) error { return c.SetReadDeadline(time.Time{}) }},
		{"SetWriteDeadline", func(c *http.ResponseController) error { return c.SetWriteDeadline(time.Time{}) }},
		{"EnableFullDuplex", func(c *http.ResponseController) error { return c.EnableFullDuplex() }},
	}
	s := &spy{fakeWriter: fakeWriter{header: http.Header{}}}
	inners := map[string]http.ResponseWriter{"a writer that unwraps": unwrapping{s}, "two of them": unwrapping{unwrapping{s}}}
	for mask, inner := range shapes(s) {
		inners[fmt.Sprintf("shape %b", mask)] = inner
		inners[fmt.Sprintf("a writer that unwraps to %b", mask)] = unwrapping{inner}
		inners[fmt.Sprintf("a flusher that unwraps to %b", mask)] = struct {
			unwrapping
			http.Flusher
		}{unwrapping{inner}, s}
	}
	for name, inner := range inners {
		for i, way := range ways {
			want := way.do(http.NewResponseController(inner))
			free := false
			var event middleware.Event
			var h http.Handler
			h = build(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/second" {
					free = true
					return
				}
				if err := way.do(http.NewResponseController(w)); errors.Is(err, http.ErrNotSupported) != errors.Is(want, http.ErrNotSupported) {
					t.Errorf("%s in %s: %v, want %v", way.name, name, err, want)
				}
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/second", nil))
			}, middleware.WithConcurrency(1), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { event = e },
			}))
			s.calls = nil
			h.ServeHTTP(inner, httptest.NewRequest("GET", "/", nil))
			if got := slices.Contains(s.calls, way.name); got != (want == nil) {
				t.Errorf("%s in %s arrived: %v, want %v", way.name, name, got, want == nil)
			}
			if seen := want == nil && i < 2; free != seen || event.Hijacked != (seen && way.name == "Hijack") {
				t.Errorf("%s in %s: slot given back %v, hijacked %v; want %v", way.name, name, free, event.Hijacked, seen)
			}
		}
	}
}

func TestEveryShapeIsOneAllocation(t *testing.T) {
	s := &spy{fakeWriter: fakeWriter{header: http.Header{}}}
	h := build(t, func(http.ResponseWriter, *http.Request) {}, middleware.WithShedding(middleware.Shedding{}))
	r := httptest.NewRequest("GET", "/", nil)
	for mask, inner := range shapes(s) {
		if got := testing.AllocsPerRun(100, func() { h.ServeHTTP(inner, r) }); got > 1 {
			t.Errorf("%b: %v allocations for a request, want 1", mask, got)
		}
	}
}
