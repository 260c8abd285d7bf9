package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// chain puts the middleware where it belongs: inside of package middleware, around the
// router.
func chain(t *testing.T, k *kit, events *[]middleware.Event, opts ...middleware.Option) http.Handler {
	t.Helper()
	var mu sync.Mutex
	wrap, err := middleware.New(append(opts, middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
		mu.Lock()
		defer mu.Unlock()
		*events = append(*events, e)
	}}))...)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(k.handler)
}

// Inside the chain of package middleware the route is known, the status is that of the
// answer, and a handler flushes if it could without the middleware.
func TestInsideTheChain(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /payments", func(w http.ResponseWriter, r *http.Request) {
		if info, ok := middleware.FromContext(r.Context()); !ok || info.Attempt != 2 {
			t.Errorf("the handler sees %+v, %t; want the second attempt", info, ok)
		}
		if _, ok := w.(http.Flusher); !ok {
			t.Error("the writer is no Flusher")
		}
		w.WriteHeader(201)
		fmt.Fprint(w, "paid")
	})
	var events []middleware.Event
	k := newKit(t, idempotency.NewMemory(0), middleware.Routed(mux).ServeHTTP)
	send := serving(t, chain(t, k, &events, middleware.WithShedding(middleware.Shedding{}), middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute})))
	for range 2 {
		resp := send(request("k", "{}", "Retry-Attempt", "2"))
		if got := bodyOf(t, resp); resp.StatusCode != 201 || got != "paid" || resp.Header.Get("Retry-Attempt") != "2" {
			t.Errorf("got %d %q with %v", resp.StatusCode, got, resp.Header)
		}
	}
	for i, e := range events {
		if e.Status != 201 || e.Bytes != 4 || e.Result() != middleware.ResultSuccess || i == 0 && e.Pattern != "POST /payments" {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

// A handler that gives up at the deadline has not answered: the client gets 504 from
// the chain, and what it did is unknown, not an empty 200 for the retry.
func TestDeadlineOfTheChain(t *testing.T) {
	for _, tt := range []struct {
		resume bool
		status int
	}{{false, 500}, {true, 201}} {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
				if runs++; runs == 1 {
					<-r.Context().Done()
					return
				}
				w.WriteHeader(201)
			}, idempotency.Resume(func(*http.Request) bool { return tt.resume }))
			var events []middleware.Event
			handler := chain(t, k, &events, middleware.WithDeadlines(middleware.Deadlines{}))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, request("k", "{}", "Request-Timeout-Ms", "100"))
			if w.Code != 504 || k.event().Outcome != idempotency.OutcomeInterrupted {
				t.Errorf("got %d and %q, want 504 and %q", w.Code, k.event().Outcome, idempotency.OutcomeInterrupted)
			}
			w = httptest.NewRecorder()
			handler.ServeHTTP(w, request("k", "{}", "Request-Timeout-Ms", "100"))
			if w.Code != tt.status {
				t.Errorf("retry: got %d, want %d", w.Code, tt.status)
			}
		})
	}
}

// A request that is shed outside has claimed nothing.
func TestShedOutside(t *testing.T) {
	handler := new(pay)
	k := newKit(t, idempotency.NewMemory(0), handler.ServeHTTP)
	var drain middleware.Drain
	var events []middleware.Event
	outer := chain(t, k, &events, middleware.WithDrain(&drain))
	drain.Start()
	w := httptest.NewRecorder()
	outer.ServeHTTP(w, request("k", "{}"))
	if w.Code != 503 || k.seen() != 0 || handler.runs != 0 {
		t.Errorf("got %d with %d events, want 503 and none", w.Code, k.seen())
	}
	k.expect("elsewhere", k.do(request("k", "{}")), 201, idempotency.OutcomeFirst)
}

// One that is shed inside, where the chain should not be, frees its key.
func TestShedInside(t *testing.T) {
	var drain middleware.Drain
	drain.Start()
	inner, err := middleware.New(middleware.WithDrain(&drain))
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t, idempotency.NewMemory(0), inner(new(pay)).ServeHTTP)
	for range 2 {
		k.expect("shed", k.do(request("k", "{}")), 503, idempotency.OutcomeReleased)
	}
}

// Two callers with one key and a compressing layer outside: each gets its own answer.
func TestCompressionOutside(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	compress := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") == "" {
			k.handler.ServeHTTP(w, r)
			return
		}
		inner := httptest.NewRecorder()
		k.handler.ServeHTTP(inner, r)
		w.Header().Set("Content-Encoding", "upper")
		fmt.Fprint(w, strings.ToUpper(inner.Body.String()))
	})
	for _, tt := range []struct{ accept, want string }{{"upper", "PLAIN"}, {"", "plain"}, {"upper", "PLAIN"}} {
		r := request("k", "{}")
		r.Header.Del("Accept-Encoding")
		if tt.accept != "" {
			r.Header.Set("Accept-Encoding", tt.accept)
		}
		w := httptest.NewRecorder()
		compress.ServeHTTP(w, r)
		if w.Body.String() != tt.want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", tt.accept, w.Body, tt.want)
		}
	}
}
