package middleware

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// exchange is a request and its response: the ResponseWriter, the context's
// value and what the event says, in one allocation.
type exchange struct {
	http.ResponseWriter
	machine *machine
	request *http.Request // as the handler sees it
	ctx     infoCtx
	info    Info
	started time.Time
	before  int // requests in the handler before this one
	limit   int

	status   int // 0 until the header is written
	bytes    int64
	shed     ShedReason
	hijacked bool
	done     bool // the handler returned instead of panicking
}

// infoCtx is the context of the handler.
type infoCtx struct {
	context.Context
	info *Info
}

func (c *infoCtx) Value(key any) any {
	if _, ok := key.(infoKey); ok {
		return c.info
	}
	return c.Context.Value(key)
}

func (x *exchange) context(parent context.Context, left time.Duration, bounded bool) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if bounded {
		parent, cancel = context.WithTimeout(parent, left)
	}
	if d, ok := parent.Deadline(); ok {
		x.info.Deadline = d
	}
	x.ctx = infoCtx{Context: parent, info: &x.info}
	return &x.ctx, cancel
}

// returned is called when the handler has.
func (x *exchange) returned(w http.ResponseWriter) {
	x.done = true
	if x.status != 0 || x.hijacked {
		return
	}
	if x.request.Context().Err() == context.DeadlineExceeded {
		// Left alone, net/http would answer 200 for work that was given up.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "The deadline of the request has passed.", http.StatusGatewayTimeout)
		return
	}
	x.begin(http.StatusOK) // what net/http sends for a handler that wrote nothing
}

// end tells the observers, also of a handler that panicked.
func (x *exchange) end() {
	if len(x.machine.observers) == 0 {
		return
	}
	panicked := !x.done && (x.shed == ShedNone || x.machine.dryRun)
	e := Event{
		Method: x.request.Method, Pattern: x.request.Pattern, Status: x.status, Bytes: x.bytes,
		Duration: time.Since(x.started), QueueWait: x.info.QueueWait, InFlight: x.before, Limit: x.limit,
		Attempt: x.info.Attempt, Shed: x.shed,
		DryRun: x.shed != ShedNone && x.machine.dryRun, Hijacked: x.hijacked, Panicked: panicked,
	}
	for _, o := range x.machine.observers {
		if o.OnRequest != nil {
			o.OnRequest(x.request.Context(), e)
		}
	}
}

// begin is called before anything that sends the header.
func (x *exchange) begin(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	h := x.Header()
	if x.info.Attempt > 0 {
		if _, own := h[headers.RetryAttempt]; !own {
			h[headers.RetryAttempt] = []string{headers.Attempt{N: x.info.Attempt}.String()}
		}
	}
	complete(h, status)
}

// WriteHeader passes on every call, so that net/http logs a superfluous one
// with the right line. Informational responses are not the answer, but for 101.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.begin(status)
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	x.begin(http.StatusOK)
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// FlushError is for http.ResponseController too, which finds it before Unwrap.
func (x *exchange) FlushError() error {
	before := x.status
	x.begin(http.StatusOK)
	err := http.NewResponseController(x.ResponseWriter).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		x.status = before // nothing was sent
	}
	return err
}

func (x *exchange) writeString(s string) (int, error) {
	x.begin(http.StatusOK)
	n, err := io.WriteString(x.ResponseWriter, s)
	x.bytes += int64(n)
	return n, err
}

// The shapes have the optional methods of the writers they wrap, which are
// those of net/http's HTTP/1 and HTTP/2 servers, and no more: a handler tells
// by a type assertion what it can do.
type (
	http1Writer   struct{ exchange }
	http2Writer   struct{ exchange }
	flusherWriter struct{ exchange }
)

// wrap returns the writer for the handler and the exchange inside it.
func wrap(w http.ResponseWriter) (http.ResponseWriter, *exchange) {
	_, flusher := w.(http.Flusher)
	_, hijacker := w.(http.Hijacker)
	_, pusher := w.(http.Pusher)
	_, readerFrom := w.(io.ReaderFrom)
	switch {
	case flusher && hijacker && readerFrom:
		x := &http1Writer{exchange{ResponseWriter: w}}
		return x, &x.exchange
	case flusher && pusher:
		x := &http2Writer{exchange{ResponseWriter: w}}
		return x, &x.exchange
	case flusher:
		x := &flusherWriter{exchange{ResponseWriter: w}}
		return x, &x.exchange
	}
	x := &exchange{ResponseWriter: w}
	return x, x
}

func (w *http1Writer) Flush()                              { w.FlushError() }
func (w *http1Writer) WriteString(s string) (int, error)   { return w.writeString(s) }
func (w *http2Writer) Flush()                              { w.FlushError() }
func (w *http2Writer) WriteString(s string) (int, error)   { return w.writeString(s) }
func (w *flusherWriter) Flush()                            { w.FlushError() }
func (w *flusherWriter) WriteString(s string) (int, error) { return w.writeString(s) }

func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
	}
	return conn, rw, err
}

// ReadFrom keeps the way to sendfile open.
func (w *http1Writer) ReadFrom(r io.Reader) (int64, error) {
	before := w.status
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	w.bytes += n
	if n == 0 {
		w.status = before // the header was not sent, and may yet be another
	}
	return n, err
}

func (w *http2Writer) Push(target string, opts *http.PushOptions) error {
	p, ok := w.ResponseWriter.(http.Pusher)
	if !ok {
		return errors.ErrUnsupported
	}
	return p.Push(target, opts)
}
