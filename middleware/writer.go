package middleware

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

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
	// One assertion for the writer of nearly every request.
	if _, http1 := w.(interface {
		http.Flusher
		http.Hijacker
		io.ReaderFrom
	}); http1 {
		x := &http1Writer{exchange{ResponseWriter: w}}
		return x, &x.exchange
	}
	_, flusher := w.(http.Flusher)
	_, pusher := w.(http.Pusher)
	switch {
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
		w.leave(false)
	}
	return conn, rw, err
}

// ReadFrom keeps the way to sendfile open.
func (w *http1Writer) ReadFrom(r io.Reader) (int64, error) {
	before := w.status
	w.begin(http.StatusOK)
	w.boundWrites(buffered + 1)
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
