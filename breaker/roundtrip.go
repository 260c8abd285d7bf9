package breaker

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// Wrap returns a RoundTripper that sends requests to next unless their circuit
// is open. All RoundTrippers that a set wraps share its circuits. If next is nil,
// it is [http.DefaultTransport]. Wrap panics if the set was not made by [New],
// because such a set would never open a circuit.
//
// The RoundTripper also has the methods CloseIdleConnections, which calls that
// of next, and OpenFor(*http.Request) time.Duration. OpenFor returns how long a
// request would be refused now; it does not take the place of a probe.
func (s *Set) Wrap(next http.RoundTripper) http.RoundTripper {
	if s == nil || s.cfg.maxServices == 0 {
		panic("breaker: Wrap of a Set that New did not make")
	}
	if next == nil {
		next = http.DefaultTransport
	}
	return &roundTripper{set: s, next: next}
}

type roundTripper struct {
	set  *Set
	next http.RoundTripper
}

func (rt *roundTripper) CloseIdleConnections() {
	if c, ok := rt.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (rt *roundTripper) OpenFor(req *http.Request) time.Duration {
	if req.URL == nil {
		return 0
	}
	name := rt.set.serviceOf(req)
	left := rt.set.apartFor(name)
	if c := rt.set.circuits.Peek(name); c != nil {
		left = max(left, c.refusing())
	}
	return left
}

func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return rt.next.RoundTrip(req) // which returns its own error for that
	}
	name := rt.set.serviceOf(req)
	rt.set.endApart()
	if left := rt.set.apartFor(name); left > 0 {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &OpenError{Service: name, RetryIn: left}
	}
	c := rt.set.circuits.Get(name)
	if c == nil { // there is no room, and nothing is known of the service
		return rt.next.RoundTrip(req)
	}
	t, refused := c.admit()
	if refused != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, refused
	}
	judged := false
	defer func() {
		if !judged { // next panicked, or the predicate did
			t.settle(failed)
		}
	}()
	resp, err := rt.next.RoundTrip(req)
	t.judge(req, resp, err)
	judged = true
	return resp, err
}

// judge settles the call, or has its body settle it.
func (t *ticket) judge(req *http.Request, resp *http.Response, err error) {
	cfg := t.circuit.cfg()
	v := cfg.verdictOf(req, resp, err)
	if cfg.timed() && t.admitted > 0 { // else calls could not be slow when it began
		t.slow = t.circuit.clock()-t.admitted > cfg.slowAfter
	}
	// A probe is judged by its header: the circuit should not stay half-open
	// for as long as a stream lasts.
	if t.probe != nil {
		if t.slow && v == succeeded {
			v = failed
		}
		t.settle(v)
		return
	}
	if v != succeeded || resp == nil || resp.Body == nil || resp.Body == http.NoBody || req.Method == http.MethodHead {
		t.settle(v)
		return
	}
	if _, upgraded := resp.Body.(io.Writer); upgraded {
		t.settle(succeeded)
		return
	}
	resp.Body = &body{ReadCloser: resp.Body, ticket: *t, ctx: req.Context()}
}

func (cfg *config) verdictOf(req *http.Request, resp *http.Response, err error) verdict {
	switch {
	case err != nil && cancelled(req.Context()):
		return ignored
	case cfg.failureIf != nil:
		if cfg.failureIf(resp, err) {
			return failed
		}
	case err != nil:
		return failed
	case resp != nil && failedStatus(resp.StatusCode):
		if sheds(resp) {
			return ignored
		}
		return failed
	}
	return succeeded
}

// sheds reports whether a response comes from a server that protects itself: it
// refuses what it has no room for and says who should come back. A circuit that
// opened for that would refuse the calls that the server still has room for.
func sheds(resp *http.Response) bool {
	switch headers.VerdictOf(resp.Header) {
	case headers.Retry:
		return true
	case headers.DoNotRetry:
		return resp.StatusCode == http.StatusServiceUnavailable
	}
	return false
}

func failedStatus(code int) bool {
	return code >= 500 && code != http.StatusNotImplemented && code != http.StatusHTTPVersionNotSupported
}

// cancelled reports whether the caller cancelled the call, which shows nothing
// about the service. A deadline that passed does show something, and so does a
// cancellation whose cause is a timeout.
func cancelled(ctx context.Context) bool {
	if ctx.Err() != context.Canceled {
		return false
	}
	timeout, ok := context.Cause(ctx).(interface{ Timeout() bool })
	return !ok || !timeout.Timeout()
}

// A body settles its call when it ends.
type body struct {
	io.ReadCloser
	ticket  ticket
	ctx     context.Context
	settled atomic.Bool
}

func (b *body) settle(v verdict) {
	if b.settled.CompareAndSwap(false, true) {
		b.ticket.settle(v)
	}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.settle(succeeded)
	case cancelled(b.ctx):
		b.settle(ignored)
	default:
		b.settle(failed)
	}
	return n, err
}

// Close settles a body that was not read to its end as a success: the caller
// had seen enough.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.settle(succeeded)
	return err
}
