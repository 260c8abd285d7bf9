// Package clients_test puts one chain under the clients of README.md. Each
// test sends real requests to a server that fails, and counts what arrives.
package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
)

// attemptTimeout is that of the chain in all tests. A stream outlasts it.
const (
	attemptTimeout = 2 * time.Second
	always         = 1000
)

// An arrival is a request that reached the server.
type arrival struct {
	route string // method and path
	body  []byte
	http.Header
}

// A backend fails the first requests of each route, once it has read them.
type backend struct {
	*httptest.Server
	mu   sync.Mutex
	seen []arrival
}

// serve starts a backend that fails the first requests of each route with
// fail and serves the others with then.
func serve(t *testing.T, fails int, fail, then http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewUnstartedServer(b.handler(fails, fail, then))
	b.Config.Protocols = new(http.Protocols)
	b.Config.Protocols.SetHTTP1(true)
	b.Config.Protocols.SetUnencryptedHTTP2(true)
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *backend) handler(fails int, fail, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // broken off by the client
		}
		a := arrival{r.Method + " " + r.URL.Path, body, r.Header.Clone()}
		b.mu.Lock()
		b.seen = append(b.seen, a)
		b.mu.Unlock()
		if len(b.of(a.route)) <= fails {
			fail(w, r)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		then(w, r)
	}
}

// of returns the arrivals of a route.
func (b *backend) of(route string) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	var of []arrival
	for _, a := range b.seen {
		if a.route == route {
			of = append(of, a)
		}
	}
	return of
}

// expect checks how often a request arrived, with the same body each time.
func (b *backend) expect(t *testing.T, route string, times int) {
	t.Helper()
	of := b.of(route)
	if len(of) != times {
		t.Errorf("%s arrived %d times, want %d", route, len(of), times)
	}
	for i, a := range of {
		if !bytes.Equal(a.body, of[0].body) {
			t.Errorf("%s: body %d has %d bytes and hash %x, want %d and %x as the first", route, i+1,
				len(a.body), sha256.Sum256(a.body), len(of[0].body), sha256.Sum256(of[0].body))
		}
	}
}

// answer is a handler for one answer.
func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// reset breaks the connection.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// pause waits longer than AttemptTimeout.
func pause(r *http.Request) {
	select {
	case <-time.After(attemptTimeout + attemptTimeout/5):
	case <-r.Context().Done():
	}
}

// slowly sends each part at once and waits before the next.
func slowly(w http.ResponseWriter, r *http.Request, parts ...string) {
	for i, part := range parts {
		if i > 0 {
			pause(r)
		}
		io.WriteString(w, part)
		http.NewResponseController(w).Flush()
	}
}

// A record keeps the stop reasons of the calls of a chain.
type record struct {
	mu    sync.Mutex
	calls []string
}

func (r *record) onCall(_ context.Context, c transport.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf("%s %d %s", c.Method, c.Attempts, c.Stop))
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.calls)
}

// bare is a base of the test's own.
func bare(t *testing.T) *http.Transport {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// readmePolicy is that of the main README, with a backoff that tests can afford.
func readmePolicy() transport.Policy {
	return transport.Policy{MaxAttempts: 3, AttemptTimeout: attemptTimeout, BaseDelay: time.Millisecond}
}

// options are those of the main README.
func options(t *testing.T) ([]transport.Option, *record) {
	t.Helper()
	circuits, err := breaker.New()
	if err != nil {
		t.Fatal(err)
	}
	calls := &record{}
	return []transport.Option{
		transport.WithPolicy(readmePolicy()),
		transport.WithBreaker(circuits.Wrap),
		transport.WithObserver(transport.Observer{OnCall: calls.onCall}),
	}, calls
}

// newChain makes the chain of the main README over a base.
func newChain(t *testing.T, base http.RoundTripper) (*transport.Transport, *record) {
	t.Helper()
	options, calls := options(t)
	chain, err := transport.New(base, options...)
	if err != nil {
		t.Fatal(err)
	}
	return chain, calls
}

// sameError checks that a call fails with the same text with and without the
// chain, and that the chain's own error is not in it.
func sameError(t *testing.T, without, with error) {
	t.Helper()
	if without == nil || with == nil || without.Error() != with.Error() {
		t.Errorf("error with the chain %q, want that without it, %q", fmt.Sprint(with), fmt.Sprint(without))
	}
	if own, ok := errors.AsType[*transport.Error](with); ok {
		t.Errorf("the error wraps %v, want the error of the base itself", own)
	}
}
