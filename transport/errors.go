package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A StopReason is the reason why a call made no further attempt. The list is closed.
// The same words are used as metric label, span attribute, log field and in the text of
// [Error].
type StopReason string

const (
	StopSucceeded    StopReason = "succeeded"      // the response is a success
	StopNotRetryable StopReason = "not_retryable"  // another attempt would not help
	StopMethod       StopReason = "method"         // the method is not safe to repeat
	StopBody         StopReason = "body"           // the request body cannot be sent again
	StopAttempts     StopReason = "attempts"       // MaxAttempts is reached
	StopBudget       StopReason = "budget"         // the retry budget refused
	StopBreakerOpen  StopReason = "breaker_open"   // the circuit of the service is open
	StopDeadline     StopReason = "deadline"       // the deadline passed, or the wait would reach it
	StopRetryAfter   StopReason = "retry_after"    // the server asks for a longer wait than MaxRetryAfter
	StopServerSaidNo StopReason = "server_said_no" // the server asked for no retry
	StopGuard        StopReason = "guard"          // the guard throttled the call
	StopInFlight     StopReason = "in_flight"      // too many attempts were in flight; see [WithInFlight]
	StopCancelled    StopReason = "cancelled"      // the caller gave up
	StopDisabled     StopReason = "disabled"       // MaxAttempts is 1, a dry run, or someone upstream retries
)

// StopReasons returns every [StopReason], for metrics that want a series for each.
func StopReasons() []StopReason {
	return []StopReason{
		StopSucceeded, StopNotRetryable, StopMethod, StopBody, StopAttempts, StopBudget, StopBreakerOpen,
		StopDeadline, StopRetryAfter, StopServerSaidNo, StopGuard, StopInFlight, StopCancelled, StopDisabled,
	}
}

// An Error is returned if a call ends without a response and the chain did more than
// pass it on: it retried, waited, cut an attempt at AttemptTimeout, or refused one for
// lack of budget or time, or because a service is overloaded. It wraps the last error,
// for errors.Is and errors.As, and is a timeout if and only if that is one.
//
// A call that was sent once, without a wait, returns the base's own error, the same
// value as without a chain, if it was not to be repeated (not_retryable, method, body,
// disabled, server_said_no) or its caller gave up (cancelled, deadline). So does a call
// that ends with [io.EOF], however often it was sent, because callers compare that with
// ==. An [Observer] gets the reason for every call.
type Error struct {
	Attempts int           // how many attempts were sent; 0 if none was
	Stop     StopReason    // why there was no further one
	Err      error         // the last error
	Waited   time.Duration // the time spent waiting between attempts
}

// Error returns the text of the last error, the number of attempts and the reason.
func (e *Error) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	return fmt.Sprintf("%v (%d %s, stopped by %s)", e.Err, e.Attempts, attempts, e.Stop)
}

// Unwrap returns the last error.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the last error is a timeout, as in net.Error.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports whether the last error is temporary. *url.Error calls it.
func (e *Error) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}

// passedOn reports whether the chain only passed a call on that ends for this reason. It
// did if the reason is in the request or its caller. It did more if the reason is what
// the chain knows of other calls or of the time left.
func (r *round) passedOn(stop StopReason) bool {
	if r.loop.dryRun {
		return true
	}
	if !r.once || r.sent.Load() > 1 || r.waited > 0 || r.interrupted {
		return false
	}
	switch stop {
	case StopNotRetryable, StopMethod, StopBody, StopDisabled, StopServerSaidNo, StopCancelled:
		return true
	case StopDeadline:
		return r.ended // else there is no time for another attempt
	}
	return false
}

// explained replaces a RecordHeaderError, as http.Client does, which recognises it only
// if it is not wrapped. The error then says that the server speaks plain HTTP.
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
	missing string // what did not arrive in time
	err     error  // the error of the attempt if it says more; may be nil
}

const (
	missingHeader = "response header"
	missingResult = "result"
	missingBody   = "byte of the response body"
)

func (e *timeoutError) Error() string {
	return fmt.Sprintf("transport: no %s within AttemptTimeout %v", e.missing, e.after)
}

func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e *timeoutError) Unwrap() error        { return e.err }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }

// isCut reports whether it was AttemptTimeout that ended the attempt.
func isCut(err error) bool {
	_, ok := err.(*timeoutError) // not errors.As: the base may be a chain too
	return ok
}

// endedError is the error of a call whose context ended before its first attempt, or
// while it waited for another. The text has the cause first, then the last result.
type endedError struct {
	err   error // context.Canceled or context.DeadlineExceeded
	cause error
	last  error // nil if there was no attempt
}

func newEndedError(ctx context.Context, resp *http.Response, err error) error {
	if resp != nil {
		err = fmt.Errorf("last answer %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	cause := context.Cause(ctx)
	if cause == nil { // not every implementation of Context has one
		cause = ctx.Err()
	}
	return &endedError{err: ctx.Err(), cause: cause, last: err}
}

func (e *endedError) Error() string {
	if e.last == nil {
		return fmt.Sprintf("%v: %v", e.err, e.cause)
	}
	return fmt.Sprintf("%v while waiting after: %v", e.cause, e.last)
}
func (e *endedError) Unwrap() []error {
	if e.last == nil {
		return []error{e.err, e.cause}
	}
	return []error{e.err, e.cause, e.last}
}
func (e *endedError) Timeout() bool   { return e.err == context.DeadlineExceeded }
func (e *endedError) Temporary() bool { return e.Timeout() }

// errPanic is the error that observers see if the base panicked. The panic itself
// reaches the caller.
var errPanic = errors.New("transport: panic in the chain")
