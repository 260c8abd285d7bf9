package breaker

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// Wrap returns next behind the circuits of the set; nil means
// [http.DefaultTransport]. Everything that the set wraps shares its circuits.
// It panics if [New] did not make the set, as where its error was ignored: such
// a set would never open a circuit.
//
// The RoundTripper also has the methods CloseIdleConnections, which forwards
// to next, and OpenFor(*http.Request) time.Duration, which says for how long a
// request would be refused now, without taking the place of a probe.
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
	if c := rt.set.circuits.Peek(rt.set.serviceOf(req)); c != nil {
		return c.refusing()
	}
	return 0
}

func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return rt.next.RoundTrip(req) // it has its own words for that
	}
	c := rt.set.circuits.Get(rt.set.serviceOf(req))
	if c == nil { // no room: nothing is known of the service, so nothing is refused
		return rt.next.RoundTrip(req)
	}
	t, refused := c.allow()
	if refused != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, refused
	}
	judged := false
	defer func() {
		if !judged { // next panicked, or the predicate did
			t.settle(errFailed, 0)
		}
	}()
	resp, err := rt.next.RoundTrip(req)
	t.judge(req, resp, err)
	judged = true
	return resp, err
}

// judge settles the call, or has its body settle it.
func (t *ticket) judge(req *http.Request, resp *http.Response, err error) {
	outcome := t.verdictOfSpeed(t.circuit.cfg.outcome(req.Context(), resp, err))
	var hint time.Duration
	if outcome == errFailed && resp != nil {
		hint, _ = headers.RetryAfterOf(resp.Header, time.Now())
	}
	// A probe is judged by its header: the circuit should not stay half-open
	// as long as a stream lasts.
	if outcome != nil || t.probe || resp == nil || resp.Body == nil || resp.Body == http.NoBody || req.Method == http.MethodHead {
		t.settle(outcome, hint)
		return
	}
	if _, upgraded := resp.Body.(io.Writer); upgraded {
		t.settle(nil, 0)
		return
	}
	t.body = body{ReadCloser: resp.Body, ticket: t, ctx: req.Context()}
	resp.Body = &t.body
}

// outcome is nil, errFailed or errExcluded.
func (cfg *config) outcome(ctx context.Context, resp *http.Response, err error) error {
	switch {
	case err != nil && cancelled(ctx):
		return errExcluded
	case cfg.failureIf != nil:
		if cfg.failureIf(resp, err) {
			return errFailed
		}
		return nil
	case err != nil:
		return errFailed
	case resp != nil && failedStatus(resp.StatusCode):
		// A server that sheds answers for itself: what it refuses is held back
		// already, and it says to whom it will listen again. To open for that
		// too would turn what it still serves away.
		verdict := headers.VerdictOf(resp.Header)
		if verdict == headers.Retry || verdict == headers.DoNotRetry && resp.StatusCode == http.StatusServiceUnavailable {
			return errExcluded
		}
		return errFailed
	}
	return nil
}

func failedStatus(code int) bool {
	return code >= 500 && code != http.StatusNotImplemented && code != http.StatusHTTPVersionNotSupported
}

// cancelled reports whether the caller gave the call up, which says nothing
// about the service. A deadline that passed does: nobody sets one hoping that
// it passes. Nor is a cancellation whose cause is a timeout the caller's.
func cancelled(ctx context.Context) bool {
	if ctx.Err() != context.Canceled {
		return false
	}
	timeout, ok := context.Cause(ctx).(interface{ Timeout() bool })
	return !ok || !timeout.Timeout()
}

// body settles its ticket when it ends.
type body struct {
	io.ReadCloser
	ticket *ticket
	ctx    context.Context
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.ticket.settle(nil, 0)
	case cancelled(b.ctx):
		b.ticket.settle(errExcluded, 0)
	default:
		b.ticket.settle(errFailed, 0)
	}
	return n, err
}

// Close settles a body that was not read to its end as a success: the caller
// had seen enough.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.ticket.settle(nil, 0)
	return err
}
