package transport

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// WithResume continues the body of a GET that breaks off, up to n times per call. The rest
// is asked for by Range and If-Range through the whole chain: it is an attempt that waits
// for its backoff, pays the budget like a retry, and obeys deadline, guard and breaker. The
// caller sees one body. [CallOf] counts the attempts.
//
// Two versions are never mixed. A body is continued only if its response is a 200 with a
// Content-Length, Accept-Ranges: bytes and a strong ETag, or without an ETag a
// Last-Modified that is a minute older than its Date; and only by a 206 of the same
// version with exactly the rest. A response that net/http decompressed, that announces
// trailers, or to a request with a Range of its own is not continued. Nor is a call that is
// not to be retried: with MaxAttempts 1, after [Transport.Pause], or for an inbound request
// that is a retry. In all these cases the caller gets the error that there was.
//
// The default is not to continue a body. An n below 1 is an error of [New].
func WithResume(n int) Option {
	return option(func(c *config) { c.resume = &n })
}

// resumable returns the response with a body that is continued if it breaks off.
func (r *round) resumable(resp *http.Response) *http.Response {
	if r.loop.resume == 0 || r.before > 0 || r.loop.dryRun || resp == nil || resp.Body == nil || r.call.policy.MaxAttempts == 1 {
		return resp
	}
	if v, ok := versionOf(r.req, resp); ok {
		resp.Body = &resumedBody{round: r, req: r.req, version: v, left: r.loop.resume, body: resp.Body}
	}
	return resp
}

// A resumedBody is a body of which each part is continued by another.
type resumedBody struct {
	version
	req   *http.Request // as it came
	round *round        // of the newest part
	left  int           // parts that may still be asked for
	at    int64         // bytes that the caller has
	part  bool          // what is read now is the rest of the body, not the whole
	broke error         // what broke the newest part
	err   error         // the end

	mu     sync.Mutex // guards what follows; never held during a Read or Close
	body   io.ReadCloser
	cancel context.CancelFunc // of the parts after the first
	closed bool
}

func (b *resumedBody) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.broke != nil && !b.next() {
			b.end(b.broke)
			break
		}
		n, err := b.read(p)
		b.at += int64(n)
		switch {
		case err == io.EOF && (!b.part || b.at == b.length):
			b.end(io.EOF)
			return n, io.EOF
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		if b.broke = err; n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, b.err
}

// read reads from the newest part, and no more than belongs to it.
func (b *resumedBody) read(p []byte) (int, error) {
	if b.part {
		if b.at == b.length {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), b.length-b.at)]
	}
	b.mu.Lock()
	body := b.body
	b.mu.Unlock()
	return body.Read(p)
}

func (b *resumedBody) end(err error) {
	b.err = err
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}

// Close ends also a Read that waits for the next part.
func (b *resumedBody) Close() error {
	b.mu.Lock()
	b.closed = true
	body := b.body
	if b.cancel != nil {
		defer b.cancel()
	}
	b.mu.Unlock()
	return body.Close()
}

// next replaces a part that broke by the rest of the body, and reports whether it could.
func (b *resumedBody) next() bool {
	r, ctx := b.round, b.req.Context()
	if b.left == 0 || b.at >= b.length || ctx.Err() != nil || !r.mayResume(b.broke) {
		return false
	}
	b.left--
	ctx, ok := b.begin(ctx)
	if !ok {
		return false
	}
	req := b.req.WithContext(ctx)
	req.Header = req.Header.Clone()
	req.Header["Range"] = []string{"bytes=" + strconv.FormatInt(b.at, 10) + "-"}
	req.Header["If-Range"] = []string{b.validator}
	next := &round{call: r.call, loop: r.loop, req: req, before: r.sent.Load()}
	next.sent.Store(next.before)
	next.id.Store(r.callID())
	b.round = next
	resp, err := next.resume(b.broke)
	if err != nil {
		return false
	}
	if !b.isPart(resp, b.at) {
		closeBody(resp)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		closeBody(resp)
		return false
	}
	b.body, b.part = resp.Body, true
	return true
}

// begin gives up the part that broke, with all that it holds, and returns the context of
// the next.
func (b *resumedBody) begin(ctx context.Context) (context.Context, bool) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, false
	}
	if b.cancel != nil {
		b.cancel()
	}
	ctx, b.cancel = context.WithCancel(ctx)
	body := b.body
	b.mu.Unlock()
	body.Close()
	return ctx, true
}

// mayResume reports whether another attempt may be made after a body broke off.
func (r *round) mayResume(broke error) bool {
	ctx := r.req.Context()
	return classify(ctx, r.loop.check, r.call.policy, r.req, nil, broke, headers.NoVerdict) == classRetryable &&
		inboundStop(ctx) == "" && !r.repeatedAbove() && !r.loop.transport.isPaused(r.call.record.Service)
}

// resume pays for the first attempt of a round, which continues another, and sends it.
func (r *round) resume(broke error) (*http.Response, error) {
	ctx, p := r.req.Context(), r.call.policy
	if err := r.open(); err != nil {
		return nil, err
	}
	r.charge.timedOut = ResultOf(ctx, 0, broke) == ResultTimeout
	wait := p.delay(1, 0, r.loop.backoff, nil)
	if deadline, ok := ctx.Deadline(); ok && wait >= time.Until(deadline) {
		return nil, broke
	}
	if stop := r.await(ctx, wait, func() StopReason { r.replaced = &failure{err: broke}; return "" }); stop != "" {
		r.charge.refund()
		return nil, broke
	}
	return r.loop.do(r, r.req)
}
