package middleware

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Deadlines configures [WithDeadlines]: how long requests may take, from their
// arrival to the end of the response.
type Deadlines struct {
	// Max is the longest time that any request may take; a client can only ask for
	// less. It also ends downloads, streams of events and WebSockets. The default 0
	// means no bound; a negative duration is an error.
	Max time.Duration
	// Default is the time for a request whose client does not say. The default 0
	// means Max; more than Max is an error.
	Default time.Duration
}

func (d *Deadlines) validate() (errs []error) {
	if d == nil {
		return nil
	}
	if d.Max < 0 {
		errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Max %v: want a positive duration, or 0 for none", d.Max))
	}
	if d.Default < 0 || d.Max > 0 && d.Default > d.Max {
		errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Default %v: want at most Max, which is %v", d.Default, d.Max))
	}
	return errs
}

// bound returns how long a request may take. Its client waits for left if said is true.
func (d *Deadlines) bound(left time.Duration, said bool) (time.Duration, bool) {
	switch {
	case !said && d.Default > 0:
		return d.Default, true
	case d.Max > 0 && (!said || left > d.Max):
		return d.Max, true
	}
	return left, said
}

// buffered is how much of a response net/http surely keeps in its buffers, so
// that writing it waits for no client.
const buffered = 2 << 10

// A bound ends the waits of a request for its client once its deadline has passed:
// reads of its body and writes of its response. It sets a deadline of the connection
// only then, and only one that has passed, so it cannot lengthen a deadline that the
// server or an outer handler has set. A handler that sets deadlines of its own
// replaces it.
type bound struct {
	mu     sync.Mutex // guards what follows
	timer  *time.Timer
	reads  bool        // of a body that is not at its end
	writes bool        // of more than fits into buffers
	over   bool        // writes were ended by the deadline
	deaf   bool        // the writer takes no deadline
	own    atomic.Bool // the handler has set a deadline of its own for writes
}

// arm starts the timer, once. The caller holds the lock.
func (x *exchange) arm() {
	if b := &x.about.bound; b.timer == nil {
		b.timer = time.AfterFunc(x.about.expires-x.machine.now(), x.pass)
	}
}

// boundBody lets reads of the request's body fail once the deadline has passed,
// so that a client that sends slowly holds no slot for longer. It stops at the end of
// the body, because net/http then keeps a read under way to learn that the client has
// gone.
func (x *exchange) boundBody() {
	r := x.request
	if x.expires() == 0 || r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	b := &x.about.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	x.arm()
	b.reads = true
	x.about.body = boundBody{r.Body, b}
	r.Body = &x.about.body
}

type boundBody struct {
	io.ReadCloser
	bound *bound
}

func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.bound.releaseReads()
	}
	return n, err
}

// boundWrites lets writes fail once the deadline has passed, so that a client
// that reads slowly holds no slot for longer. It costs nothing for a response that fits
// into the buffers of net/http, because writing it never waits.
func (x *exchange) boundWrites(n int64) {
	if x.early && x.about.bound.own.Load() && x.request.Context().Err() != nil {
		x.early = false // the handler goes on beyond it
	}
	if x.bounded || x.expires() == 0 || x.bytes+n <= buffered {
		return
	}
	x.bounded = true
	b := &x.about.bound
	b.mu.Lock()
	b.writes = !b.own.Load()
	x.arm()
	b.mu.Unlock()
	if x.machine.now() >= x.about.expires {
		x.pass() // the timer may have before there was anything to write
	}
}

// pass is called when the deadline has passed.
func (x *exchange) pass() {
	b := &x.about.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	passed := time.Unix(1, 0)
	// A writer that cannot is not that of a connection, or hides it.
	if b.reads {
		b.reads = false
		_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(passed)
	}
	if b.writes {
		b.writes, b.over = false, x.request.Context().Err() != context.Canceled // its client has left before
		b.deaf = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(passed) != nil
	}
}

// truncated reports whether the handler seems to have given up in the middle of its
// answer: the deadline passed after the answer had begun, and the handler returned
// before all of its Content-Length was written, or had announced none. If only the
// server has set the deadline, its client may still wait, and an answer that fits into
// the buffers counts as complete.
func (x *exchange) truncated() bool {
	if !x.early || x.hijacked || x.machine.now() < x.expires() || x.delivered() {
		return false
	}
	b := &x.about.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	return (b.over || x.request.Context().Err() == context.DeadlineExceeded) &&
		(x.about.said || x.bounded && !b.own.Load())
}

// cutOff keeps net/http from sending the end of the response, by which its client
// would take it for complete.
func (x *exchange) cutOff() {
	b := &x.about.bound
	b.mu.Lock()
	b.writes = !b.over
	b.mu.Unlock()
	x.pass()
	// A connection without deadlines is cut by the panic that net/http has for it. Other
	// servers may not know that panic.
	if b.deaf && x.server() != nil {
		panic(http.ErrAbortHandler)
	}
}

func (b *bound) releaseReads() {
	b.mu.Lock()
	b.reads = false
	b.mu.Unlock()
}

// releaseWrites is for a response that is complete except for its end, which waits
// for the handler.
func (b *bound) releaseWrites() {
	b.mu.Lock()
	b.writes = false
	b.mu.Unlock()
}

// unbound keeps the timer from the connection once that belongs to the handler, or to
// the next request. net/http lifts the deadlines of the request before.
func (x *exchange) unbound() {
	if x.about == nil {
		return
	}
	b := &x.about.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
	b.reads, b.writes = false, false
}

// SetReadDeadline is for http.ResponseController, which finds it before Unwrap.
// From then on the handler decides how long it reads.
func (x *exchange) SetReadDeadline(at time.Time) error {
	if x.about != nil {
		x.about.bound.releaseReads()
	}
	return http.NewResponseController(x.ResponseWriter).SetReadDeadline(at)
}

// SetWriteDeadline is the same for writes.
func (x *exchange) SetWriteDeadline(at time.Time) error {
	if x.about != nil {
		b := &x.about.bound
		b.mu.Lock()
		b.own.Store(true)
		b.writes, b.over = false, false
		b.mu.Unlock()
	}
	return http.NewResponseController(x.ResponseWriter).SetWriteDeadline(at)
}
