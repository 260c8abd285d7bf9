package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// attemptLayer is below guard and breaker. It counts the attempt, tells the server about it
// and limits its time.
type attemptLayer struct {
	next      http.RoundTripper
	observers observers
	alone     bool // all layers above are ours, so what the loop sends may be changed
}

func (l *attemptLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := attemptIn(req.Context())
	if !ok { // a layer replaced the context
		return l.next.RoundTrip(req)
	}
	ctx.round.sending()
	if !l.observers.any() {
		resp, err := l.timed(req, ctx)
		ctx.resp = resp
		return resp, err
	}
	event := AttemptEvent{
		Service: ctx.round.call.record.Service,
		Method:  methodOf(req),
		Attempt: int(ctx.number),
		Hedge:   ctx.hedge,
		Waited:  ctx.round.lastWait,
		Err:     errPanic,
	}
	if before := ctx.round.replaced; before != nil {
		event.AfterStatus, event.AfterErr = before.status, before.err
	}
	start := ctx.round.call.clock()
	defer func() {
		event.Duration = ctx.round.call.answered() - start
		l.observers.attempt(req.Context(), event)
	}()
	resp, err := l.timed(req, ctx)
	event.Err = err
	ctx.resp = resp
	if err == nil && resp != nil {
		event.Status = resp.StatusCode
	}
	return resp, err
}

// sending counts the attempt. Only the first attempt of a call deposits: retries must not
// pay for more retries.
func (r *round) sending() {
	r.charge.sent()
	if r.sent.Add(1) == 1 && r.charge.budget != nil {
		r.charge.budget.Deposit()
	}
}

// A sending is what an attempt on its way needs of its own, in one allocation.
type sending struct {
	req    http.Request
	values [mostWords]string
	body   boundedBody
}

// send adds to the request what the attempt says in its header, and the time limit
// of an attempt, if there is one. The limit ends with the response header, but the
// context of the attempt lives until the body is closed or read to its end.
func (l *attemptLayer) send(req *http.Request, attempt *attemptCtx) (*http.Response, error) {
	limit := attempt.round.limit(req.Context())
	w := attempt.words(req)
	switch {
	case limit > 0:
		return l.bounded(req, attempt, limit, w)
	case !w.any():
		return l.next.RoundTrip(req)
	case l.alone && req == attempt.round.attempt:
		w.write(req, new([mostWords]string), attempt)
		return l.next.RoundTrip(req)
	}
	s := &sending{req: *req.WithContext(req.Context())}
	w.write(&s.req, &s.values, attempt)
	return l.next.RoundTrip(&s.req)
}

func (l *attemptLayer) bounded(req *http.Request, attempt *attemptCtx, limit time.Duration, w words) (*http.Response, error) {
	parent := req.Context()
	ctx, cancel := context.WithCancelCause(parent)
	s := &sending{req: *req.WithContext(ctx)}
	if w.any() {
		w.write(&s.req, &s.values, attempt)
	}
	timer := time.AfterFunc(limit, func() { cancel(&timeoutError{after: limit, missing: missingHeader}) })
	held := false
	defer func() {
		if !held {
			timer.Stop()
			cancel(nil)
		}
	}()
	resp, err := l.next.RoundTrip(&s.req)
	if !timer.Stop() && parent.Err() == nil {
		// The limit has passed, so the body could not be read.
		if err == nil && resp != nil {
			closeBody(resp)
		}
		late := &timeoutError{after: limit, missing: missingHeader}
		// Our own cancellation is the only error.
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
			late.err = err
		}
		return nil, late
	}
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	held = true
	attempt.cancel = cancel
	resp.Body = s.body.around(resp.Body, cancel)
	return resp, nil
}

// A boundedBody ends the context of its attempt when it is read to its end or closed.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// around makes b the body, unless that is the body of an upgraded connection, which
// stays writable.
func (b *boundedBody) around(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	if rw, ok := body.(io.ReadWriteCloser); ok {
		return &upgradedBody{ReadWriteCloser: rw, cancel: cancel}
	}
	*b = boundedBody{ReadCloser: body, cancel: cancel}
	return b
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

type upgradedBody struct {
	io.ReadWriteCloser
	cancel context.CancelCauseFunc
}

func (b *upgradedBody) Close() error {
	defer b.cancel(nil)
	return b.ReadWriteCloser.Close()
}

// CloseWrite ends the sending half of the connection, as the body of net/http
// does where the connection can.
func (b *upgradedBody) CloseWrite() error {
	if c, ok := b.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("transport: CloseWrite: %w", http.ErrNotSupported)
}
