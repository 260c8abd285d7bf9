package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// crowd is a handler with one slot that serves for as long as the path says, and what
// became of its requests.
type crowd struct {
	http.Handler
	mu     sync.Mutex
	served []string // names, in order of admission
	events []middleware.Event
	wg     sync.WaitGroup
}

func newCrowd(t *testing.T, opts ...middleware.Option) *crowd {
	c := &crowd{}
	c.Handler = build(t, func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.served = append(c.served, strings.TrimPrefix(r.URL.Path, "/"))
		c.mu.Unlock()
		d, err := time.ParseDuration(r.URL.RawQuery)
		if err != nil {
			d = 10 * time.Millisecond
		}
		time.Sleep(d)
	}, append([]middleware.Option{
		middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			c.mu.Lock()
			c.events = append(c.events, e)
			c.mu.Unlock()
		}}),
	}, opts...)...)
	return c
}

// seen returns the events so far.
func (c *crowd) seen() []middleware.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// order returns whose requests were served, in that order.
func (c *crowd) order() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.served)
}

// send sends a request and returns where its answer will be once it has one.
func (c *crowd) send(target string, lines ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/"+target, nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	c.wg.Go(func() { c.ServeHTTP(w, r) })
	synctest.Wait()
	return w
}

// stand lets the queue stand: one request holds the slot for long and others
// wait behind it until they are refused.
func (c *crowd) stand() {
	c.send("holder?2s")
	c.send("first")
	for range 8 {
		time.Sleep(200 * time.Millisecond)
		c.send("next")
	}
}
