package middleware

import (
	"io"
	"os"
	"time"
)

// A request that waits for its own client does no work: neither while a read of its
// body waits for what the client sends, nor while a write of its response waits for
// the client to read. Such waits begin with await and end with proceed, between
// which its slot may be lent to another request, and they are not part of its
// latency.

// await is called before an operation that may wait for the client. Call proceed
// after the operation with the result of await.
func (x *exchange) await() (since time.Duration) {
	l := x.machine.limiter
	if l == nil || !l.Queues() {
		return 0
	}
	since = x.machine.now()
	if !l.Pause(&x.held, since) {
		return 0
	}
	return since
}

func (x *exchange) proceed(since time.Duration) {
	if since == 0 {
		return
	}
	x.machine.limiter.Resume(&x.held)
	if x.held.Slot.Weight > 0 {
		x.waited.Add(int64(x.machine.now() - since))
	}
}

// awaitWrite is await for a write of n bytes. If they fit into the buffers of the server,
// the write does not wait.
func (x *exchange) awaitWrite(n int) (since time.Duration) {
	if x.bytes+int64(n) <= buffered {
		return 0
	}
	return x.await()
}

// watchBody has reads of the request's body seen as waits for the client.
func (x *exchange) watchBody() {
	r := x.request
	if l := x.machine.limiter; l == nil || !l.Queues() || r.ContentLength == 0 || r.Body == nil {
		return
	}
	x.body, r.Body = r.Body, (*clientBody)(x)
}

// clientBody is the body of the request of an exchange. It has no allocation of its own.
type clientBody exchange

func (b *clientBody) Read(p []byte) (int, error) {
	x := (*exchange)(b)
	since := x.await()
	n, err := b.body.Read(p)
	x.proceed(since)
	return n, err
}

func (b *clientBody) Close() error { return b.body.Close() }

// copyFrom is ReadFrom of the writer inside, as a wait for the client.
func (x *exchange) copyFrom(r io.Reader) (int64, error) {
	to, since := x.ResponseWriter.(io.ReaderFrom), x.await()
	if since == 0 || isFile(r) {
		n, err := to.ReadFrom(r)
		x.proceed(since)
		return n, err
	}
	source := &workSource{r, x, since}
	n, err := to.ReadFrom(source)
	x.proceed(source.since)
	return n, err
}

// workSource is what ReadFrom copies to the client. To read from it is work, between
// two waits for the client.
type workSource struct {
	io.Reader
	exchange *exchange
	since    time.Duration // of the wait under way
}

func (s *workSource) Read(p []byte) (int, error) {
	s.exchange.proceed(s.since)
	n, err := s.Reader.Read(p)
	s.since = s.exchange.await()
	return n, err
}

// isFile reports whether the server of net/http may send r with sendfile, which it
// cannot for one that is wrapped.
func isFile(r io.Reader) bool {
	if limited, ok := r.(*io.LimitedReader); ok {
		r = limited.R
	}
	_, ok := r.(*os.File)
	return ok
}
