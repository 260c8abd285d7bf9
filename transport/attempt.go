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
}

func (l *attemptLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok { // a layer replaced the context
		return l.next.RoundTrip(req)
	}
	ctx.round.sending()
	req = announced(req, ctx)
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

		AfterStatus: ctx.round.afterStatus,
		AfterErr:    ctx.round.afterErr,
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

// bounded sends the request with the time limit of an attempt, if there is
// one. The limit ends with the response header, but the context of the attempt
// lives until the body is closed or read to its end.
func (l *attemptLayer) bounded(req *http.Request, attempt *attemptCtx) (*http.Response, error) {
	limit := attempt.round.limit(req.Context())
	if limit <= 0 {
		return l.next.RoundTrip(req)
	}
	parent := req.Context()
	ctx, cancel := context.WithCancelCause(parent)
	late := &timeoutError{after: limit, missing: missingHeader}
	timer := time.AfterFunc(limit, func() { cancel(late) })
	held := false
	defer func() {
		timer.Stop()
		if !held {
			cancel(nil)
		}
	}()
	resp, err := l.next.RoundTrip(req.WithContext(ctx))
	if !timer.Stop() && parent.Err() == nil {
		// The limit has passed, so the body could not be read.
		if err == nil && resp != nil {
			closeBody(resp)
		}
		// Our own cancellation is the only error.
		if errors.Is(err, context.Canceled) || errors.Is(err, late) {
			return nil, late
		}
		return nil, &timeoutError{after: limit, missing: missingHeader, err: err}
	}
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	held = true
	attempt.cancel = func() { cancel(nil) }
	resp.Body = untilClosed(resp.Body, attempt.cancel)
	return resp, nil
}

// untilClosed calls done when the body is read to its end or closed. The body
// of an upgraded connection stays writable.
func untilClosed(body io.ReadCloser, done func()) io.ReadCloser {
	if rw, ok := body.(io.ReadWriteCloser); ok {
		return &upgradedBody{ReadWriteCloser: rw, done: done}
	}
	return &boundedBody{ReadCloser: body, done: done}
}

type boundedBody struct {
	io.ReadCloser
	done func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done()
	}
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

type upgradedBody struct {
	io.ReadWriteCloser
	done func()
}

func (b *upgradedBody) Close() error {
	defer b.done()
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
