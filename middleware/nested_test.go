package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
)

// unwrapper is the writer of another layer.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// A request that passes the same middleware around a router and around its route takes
// one slot, and is one request for the observers.
func TestAroundItself(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	for _, row := range []struct {
		name   string
		outer  bool
		nest   func(wrap func(http.Handler) http.Handler) http.Handler
		events int
	}{
		{"once", true, func(func(http.Handler) http.Handler) http.Handler { return hello }, 1},
		{"twice", true, func(wrap func(http.Handler) http.Handler) http.Handler { return wrap(hello) }, 1},
		{"three times", true, func(wrap func(http.Handler) http.Handler) http.Handler { return wrap(wrap(hello)) }, 1},
		{"around a router and a route", true, func(wrap func(http.Handler) http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /{$}", wrap(hello))
			return mux
		}, 1},
		{"with a layer between that wraps the writer", true, func(wrap func(http.Handler) http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wrap(hello).ServeHTTP(unwrapper{w}, r) })
		}, 1},
		{"one after the other", false, func(wrap func(http.Handler) http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				wrap(hello).ServeHTTP(w, r)
				wrap(hello).ServeHTTP(httptest.NewRecorder(), r)
			})
		}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			events := 0
			wrap, err := middleware.New(middleware.WithConcurrency(1), middleware.WithObserver(middleware.Observer{
				OnRequest: func(context.Context, middleware.Event) { events++ },
			}))
			if err != nil {
				t.Fatal(err)
			}
			h := row.nest(wrap)
			if row.outer {
				h = wrap(h)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if got := w.Body.String(); w.Code != http.StatusOK || got != "hello" {
				t.Errorf("got %d %q, want 200 and hello", w.Code, got)
			}
			if events != row.events {
				t.Errorf("%d events, want %d", events, row.events)
			}
		})
	}
}

// Two of New are two limits: the inner one refuses though the outer one has room.
func TestAroundAnother(t *testing.T) {
	var wraps [2]func(http.Handler) http.Handler
	for i := range wraps {
		var err error
		if wraps[i], err = middleware.New(middleware.WithConcurrency(2 - i)); err != nil {
			t.Fatal(err)
		}
	}
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	h := wraps[0](wraps[1](http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})))
	go func() {
		defer close(done)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	<-entered
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503 of the inner limit", w.Code)
	}
	close(leave)
	<-done
}
