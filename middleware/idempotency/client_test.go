package idempotency_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/transport"
)

// call sends a request of ann's with a key over the chain, and returns what became of it.
func call(t *testing.T, handler http.Handler, key, body string) (*http.Response, transport.Call) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	chain, err := transport.New(server.Client().Transport, transport.WithPolicy(transport.Policy{MaxAttempts: 3, BaseDelay: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/payments?currency=EUR", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = request(key, "").Header
	resp, err := (&http.Client{Transport: chain}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	c, ok := transport.CallOf(resp)
	if !ok {
		t.Fatal("no call")
	}
	return resp, c
}

// The client asks again while the first request runs, and gets its answer.
func TestClientAsksAgainWhileItRuns(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-end
		w.WriteHeader(201)
	})
	var first sync.WaitGroup
	first.Go(func() { k.do(request("k", "{}")) })
	<-began
	asked := 0
	resp, c := call(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 2 {
			close(end)
			first.Wait()
		}
		k.handler.ServeHTTP(w, r)
		if asked == 1 && (w.Header().Get("Retry-After-Ms") == "" || headers.VerdictOf(w.Header()) != headers.Retry) {
			t.Errorf("first answer with %v", w.Header())
		}
	}), "k", "{}")
	if resp.StatusCode != 201 || c.Attempts != 2 || resp.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %d after %d attempts, want a replay after 2", resp.StatusCode, c.Attempts)
	}
}

// The client does not ask again where that does no good: a key that belongs to another
// request is a bug, and an outcome that is unknown stays so.
func TestClientStops(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(k *kit, s *faulty)
		status int
		stop   transport.StopReason
	}{
		{"key reused", func(k *kit, _ *faulty) { k.do(request("k", "{another}")) }, 422, transport.StopNotRetryable},
		{"outcome unknown", func(_ *kit, s *faulty) { claim(t, s, "k", "{}", 0) }, 500, transport.StopServerSaidNo},
		{"failure that is kept", func(k *kit, _ *faulty) { k.do(request("k", "{}", "X-Fail", "true")) }, 500, transport.StopServerSaidNo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &faulty{Store: idempotency.NewMemory(0)}
			k := newKit(t, store, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Fail") != "" {
					w.WriteHeader(500)
				}
			})
			tt.before(k, store)
			resp, c := call(t, k.handler, "k", "{}")
			if resp.StatusCode != tt.status || c.Attempts != 1 || c.Stop != tt.stop {
				t.Errorf("got %d after %d attempts, stopped by %q; want %d after 1, stopped by %q", resp.StatusCode, c.Attempts, c.Stop, tt.status, tt.stop)
			}
		})
	}
}

// The client asks again when the store was away for a moment.
func TestClientAsksAgainAfterTheStoreWasAway(t *testing.T) {
	store := &faulty{Store: idempotency.NewMemory(0), begin: func(call int) (error, bool) {
		if call <= 2 {
			return errAway, false
		}
		return nil, false
	}}
	k := newKit(t, store, new(pay).ServeHTTP)
	resp, c := call(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.handler.ServeHTTP(short{w}, r)
	}), "k", "{}")
	if resp.StatusCode != 201 || c.Attempts != 2 {
		t.Errorf("got %d after %d attempts, want 201 after 2", resp.StatusCode, c.Attempts)
	}
}

// short shortens the wait, for a test that has to wait for it.
type short struct{ http.ResponseWriter }

func (s short) WriteHeader(status int) {
	if status == 503 {
		headers.SetRetryAfter(s.Header(), time.Millisecond)
		s.Header().Del("Retry-After")
	}
	s.ResponseWriter.WriteHeader(status)
}

// The key is made where the intent is made, and stored with it. A user who clicks
// again, and a job that is run again, send the same key: there is one charge.
func Example_intent() {
	type order struct{ ID, Key string }
	saved := order{ID: "17", Key: headers.NewIdempotencyKey()} // once, when the order is made

	handler := func() http.Handler {
		keys, err := idempotency.New(idempotency.NewMemory(64<<20), account)
		if err != nil {
			panic(err)
		}
		return keys(charges())
	}()
	charge := func(o order) { post(handler, headers.DeriveIdempotencyKey(o.Key, "charge"), o.ID) }
	charge(saved)
	charge(saved)
	// Output:
	// 201 charge 1
	// 201 charge 1, as before
}

// The mistake is a key for each click, as transport.WithIdempotencyKeys makes one for
// each call: it is for attempts of one call, and not for calls of one intent.
func Example_intent_incorrect() {
	keys, err := idempotency.New(idempotency.NewMemory(64<<20), account)
	if err != nil {
		panic(err)
	}
	handler := keys(charges())
	click := func() { post(handler, headers.NewIdempotencyKey(), "order 17") }
	click()
	click()
	// Output:
	// 201 charge 1
	// 201 charge 2
}
