package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Error is returned when a call ends without a response. It wraps the last
// error of the transport, so that errors.Is and errors.As find the cause, and
// it is a timeout if and only if that is one.
type Error struct {
	Attempts int           // how many attempts were sent; 0 if none was
	Stop     StopReason    // why there was no further one
	Err      error         // the last error
	Waited   time.Duration // the time spent waiting between attempts
}

// Error gives the cause, and what the chain did about it where it did more
// than pass it on.
func (e *Error) Error() string {
	if e.Attempts == 1 && e.Stop == StopNotRetryable {
		return e.Err.Error()
	}
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	return fmt.Sprintf("%v (%d %s, stopped by %s)", e.Err, e.Attempts, attempts, e.Stop)
}

// Unwrap returns the last error.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the last error is a timeout, as net.Error has it.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports whether the last error calls itself temporary. It is here
// since *url.Error asks for it.
func (e *Error) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}

// explained does what http.Client does with a RecordHeaderError, which it
// recognises only if it is not wrapped: a server that answers https with
// plain HTTP gets an error that says so.
func explained(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		return http.ErrSchemeMismatch
	}
	return err
}

// timeoutError ends an attempt that outlasted AttemptTimeout.
type timeoutError struct {
	after   time.Duration
	missing string // what did not come in time
	err     error  // what became of it, if that says more; may be nil
}

const (
	missingHeader = "response header"
	missingResult = "result"
)

func (e *timeoutError) Error() string {
	return fmt.Sprintf("transport: no %s within AttemptTimeout %v", e.missing, e.after)
}

func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e *timeoutError) Unwrap() error        { return e.err }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }

// endedError is a call whose context ended while it waited for the next
// attempt. The cause comes first; the last answer says what it waited for.
type endedError struct {
	err   error // context.Canceled or context.DeadlineExceeded
	cause error
	last  error
}

func newEndedError(ctx context.Context, resp *http.Response, err error) error {
	if resp != nil {
		err = fmt.Errorf("last answer %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	cause := context.Cause(ctx)
	if cause == nil { // a context of the caller's own making need not have one
		cause = ctx.Err()
	}
	return &endedError{err: ctx.Err(), cause: cause, last: err}
}

func (e *endedError) Error() string {
	return fmt.Sprintf("%v while waiting after: %v", e.cause, e.last)
}
func (e *endedError) Unwrap() []error { return []error{e.err, e.cause, e.last} }
func (e *endedError) Timeout() bool   { return e.err == context.DeadlineExceeded }
func (e *endedError) Temporary() bool { return e.Timeout() }
