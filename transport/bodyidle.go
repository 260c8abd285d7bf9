package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// timed sends the request, and limits the silence in the body of its response if the
// policy does.
func (l *attemptLayer) timed(req *http.Request, attempt *attemptCtx) (*http.Response, error) {
	limit := attempt.round.call.policy.BodyIdleTimeout
	if limit <= 0 || attempt.round.loop.dryRun {
		return l.send(req, attempt)
	}
	parent := req.Context()
	ctx, cancel := context.WithCancelCause(parent)
	kept := false
	defer func() {
		if !kept { // also if the layers below panic
			cancel(nil)
		}
	}()
	resp, err := l.send(req.WithContext(ctx), attempt)
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	kept = true
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = new(boundedBody).around(resp.Body, cancel)
		return resp, nil
	}
	if attempt.cancel == nil {
		attempt.cancel = cancel
	}
	resp.Body = &heardBody{ReadCloser: resp.Body, parent: parent, limit: limit, cancel: cancel}
	return resp, nil
}

// A heardBody is a body whose silence is limited while a Read waits.
type heardBody struct {
	io.ReadCloser
	parent context.Context
	limit  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer // runs during a Read; nil before the first
	read   int64
	err    error // of the silence
}

func (b *heardBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, func() { b.cancel(&timeoutError{after: b.limit, missing: missingBody}) })
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	// An end does not count either: a handler that sees its client leave may end its body.
	if silent := !b.timer.Stop(); silent && b.parent.Err() == nil {
		b.err = &silenceError{after: b.limit, read: b.read}
		if n > 0 { // just after all
			return n, nil
		}
		return 0, b.err
	}
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

func (b *heardBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// silenceError ends a body that was silent for BodyIdleTimeout.
type silenceError struct {
	after time.Duration
	read  int64
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("transport: no %s within BodyIdleTimeout %v, after %d bytes", missingBody, e.after, e.read)
}

func (e *silenceError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e *silenceError) Timeout() bool        { return true }
func (e *silenceError) Temporary() bool      { return true }
