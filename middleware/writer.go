package middleware

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

func (x *exchange) self() *exchange { return x }

// begin is called before anything that sends the header.
func (x *exchange) begin(status int) {
	if x.status != 0 || x.hijacked {
		return
	}
	x.status = int16(status)
	x.early = x.expires() > 0 && x.request.Context().Err() == nil
	h := x.Header()
	if n := x.attempt(); n > 0 {
		if _, own := h[headers.RetryAttempt]; !own {
			h[headers.RetryAttempt] = []string{headers.Attempt{N: n}.String()}
		}
	}
	if r := x.rare.Load(); r != nil {
		for name, values := range r.limits {
			if _, own := h[name]; !own {
				h[name] = values
			}
		}
	}
	x.setQueued(h)
	x.complete(h, status)
}

// setQueued tells the client how long its request waited for room.
func (x *exchange) setQueued(h http.Header) {
	if r := x.rare.Load(); r != nil && r.tells {
		h[headers.RequestQueuedMs] = []string{headers.FormatTimeout(r.queueWait)}
		return
	}
	x.dropQueued(h)
}

// dropQueued takes out what a handler such as a proxy passed on, because the client
// would take it for the wait here. Where no request waits it stays, as it does without
// this middleware.
func (x *exchange) dropQueued(h http.Header) {
	if x.machine.shedding != nil && !x.machine.dryRun {
		delete(h, headers.RequestQueuedMs)
	}
}

// wrote counts what was written. If the connection was hijacked past this writer, the
// first write shows it.
func (x *exchange) wrote(n int64, err error, before int16) {
	x.bytes += n
	x.brokeOff(err)
	if x.bounded && x.delivered() {
		x.about.bound.releaseWrites()
	}
	if err == http.ErrHijacked {
		x.status = before
		x.takenOver()
	}
}

// takenOver notes that the connection is the handler's.
func (x *exchange) takenOver() {
	x.hijacked = true
	x.unbound()
	x.leave(false)
}

// WriteHeader notes the first status that is an answer: informational ones are
// not, except 101.
func (x *exchange) WriteHeader(status int) {
	switch {
	case x.status != 0 || x.hijacked:
		x.writeHeaderAgain(status)
		return
	case status >= 200 && status <= 999 || status == http.StatusSwitchingProtocols:
		x.begin(status)
	default:
		x.setLimitsAside()
		x.dropQueued(x.Header())
	}
	x.ResponseWriter.WriteHeader(status)
}

// setLimitsAside takes the fields of WithRate out of the header until the final
// response, because an informational response does not have them.
func (x *exchange) setLimitsAside() {
	if len(x.machine.rateLimits) == 0 {
		return
	}
	h, aside := x.Header(), make(http.Header, len(limitFields))
	maps.Copy(aside, x.noted().limits)
	for _, name := range limitFields {
		if values, ok := h[name]; ok {
			aside[name] = values
			delete(h, name)
		}
	}
	x.note(func(r *rare) { r.limits = aside })
}

func (x *exchange) Write(p []byte) (int, error) {
	before := x.status
	x.begin(http.StatusOK)
	x.boundWrites(int64(len(p)))
	since := x.awaitWrite(len(p))
	n, err := x.ResponseWriter.Write(p)
	x.proceed(since)
	x.wrote(int64(n), err, before)
	return n, err
}

// WriteString is there for every writer: where the one inside has none it
// costs what Write does.
func (x *exchange) WriteString(s string) (int, error) {
	before := x.status
	x.begin(http.StatusOK)
	x.boundWrites(int64(len(s)))
	since := x.awaitWrite(len(s))
	n, err := io.WriteString(x.ResponseWriter, s)
	x.proceed(since)
	x.wrote(int64(n), err, before)
	return n, err
}

// readFrom keeps the way to sendfile open.
func (x *exchange) readFrom(r io.Reader) (int64, error) {
	before := x.status
	x.begin(http.StatusOK)
	x.boundWrites(buffered + 1)
	n, err := x.copyFrom(r)
	x.wrote(n, err, before)
	if n == 0 {
		x.status = before // the header was not sent, and may yet be another
	}
	return n, err
}

func (x *exchange) flush() error {
	before := x.status
	x.begin(http.StatusOK)
	if x.early || x.bytes > buffered { // what answers to the deadline is no stream
		x.boundWrites(buffered + 1)
	}
	// The work is done, or goes on for as long as the client likes. The slot is free
	// before the client has the bytes, because its next request may follow at once, and
	// because the flush may wait for a client that reads slowly.
	x.release(true)
	err := http.NewResponseController(x.ResponseWriter).Flush()
	x.wrote(0, err, before)
	if err == nil {
		x.leave(true)
	}
	if errors.Is(err, http.ErrNotSupported) {
		x.status = before // nothing was sent
	}
	return err
}

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err == nil {
		x.takenOver()
	}
	return conn, rw, err
}

func (x *exchange) push(target string, opts *http.PushOptions) error {
	return x.ResponseWriter.(http.Pusher).Push(target, opts)
}

func (x *exchange) closeNotify() <-chan bool {
	return x.ResponseWriter.(closeNotifier).CloseNotify()
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

// Unwrap is for [http.ResponseController], and other code that looks for a method
// further inside. If only a writer further inside has Flush or Hijack, the exchange
// would not see the call. So Unwrap then returns a writer that has them and tells the
// exchange.
func (x *exchange) Unwrap() http.ResponseWriter {
	here := offers(x.ResponseWriter)
	deep := here
	for w := x.ResponseWriter; ; {
		u, ok := w.(unwrapper)
		if !ok {
			break
		}
		w = u.Unwrap()
		deep |= offers(w)
	}
	switch (deep &^ here) & (flushes | hijacks) {
	case flushes:
		return insideF{inside{x}}
	case hijacks:
		return insideH{inside{x}}
	case flushes | hijacks:
		return insideFH{insideF{inside{x}}}
	}
	return x.ResponseWriter
}

// The writer inside, with the methods that one further inside has.
type (
	inside   struct{ *exchange }
	insideF  struct{ inside }
	insideH  struct{ inside }
	insideFH struct{ insideF }
)

func (w inside) Unwrap() http.ResponseWriter                    { return w.ResponseWriter }
func (w insideF) Flush()                                        { w.flush() }
func (w insideF) FlushError() error                             { return w.flush() }
func (w insideH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return w.hijack() }
func (w insideFH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
