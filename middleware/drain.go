package middleware

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// drainWait is the least time that a client of a server that shuts down is told to
// wait, and half of the longest. It is short because another instance can serve it.
const drainWait = 50 * time.Millisecond

// Drain takes a server out of service. After Start, [WithDrain] refuses every new
// request with 503, Connection: close and X-Should-Retry: true, so that clients go
// to another instance. Requests that were admitted, or wait to be, are served to the
// end. The zero value is ready for use; it must not be copied.
//
//	srv.RegisterOnShutdown(drain.Start)
//
// starts it with the Shutdown of a server. If a load balancer takes some seconds to
// notice, start it that much earlier.
type Drain struct {
	started atomic.Bool
	mu      sync.Mutex // guards done
	done    chan struct{}
}

// Start begins to drain. It returns at once and may be called more than once. It
// cannot be undone.
func (d *Drain) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started.Swap(true) {
		return
	}
	if d.done == nil {
		d.done = make(chan struct{})
	}
	close(d.done)
}

// Draining reports whether Start was called.
func (d *Drain) Draining() bool { return d.started.Load() }

// Done returns a channel that is closed by Start. Handlers of streams should end
// when it is closed: otherwise they end only when their client leaves.
func (d *Drain) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
	}
	return d.done
}

// ServeHTTP is a readiness probe: it answers 200 before Start and 503 after it.
// Route it past the middleware, or exempt it.
func (d *Drain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ready\n"
	if d.Draining() {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "draining\n"
	}
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
}
