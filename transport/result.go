package transport

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// A Result is what an attempt came to, in one word. The list is closed. The same words
// are used as metric label, span attribute and log field.
type Result string

const (
	ResultSuccess     Result = "success"      // a status below 400; for Do, no error
	ResultClientError Result = "client_error" // a status from 400 to 499, except 429
	ResultThrottled   Result = "throttled"    // 429
	ResultUnavailable Result = "unavailable"  // 503
	ResultServerError Result = "server_error" // any other status from 500
	ResultTimeout     Result = "timeout"      // the caller's deadline passed, AttemptTimeout did, or a timeout of the base
	ResultCancelled   Result = "cancelled"    // the caller gave up
	ResultOutrun      Result = "outrun"       // another copy of a hedged request was answered first
	ResultPanicked    Result = "panicked"     // the base panicked, or a layer above it
	ResultError       Result = "error"        // any other error
)

// Failed reports whether something went wrong. An attempt that was called off, cancelled
// or outrun, did not fail.
func (r Result) Failed() bool {
	switch r {
	case ResultSuccess, ResultCancelled, ResultOutrun:
		return false
	}
	return true
}

// ResultOf returns what an attempt came to: a response with this status, or an error.
// The context is that of the attempt, as passed to [Observer].OnAttempt. If it has ended,
// the result says so, whatever the error is.
func ResultOf(ctx context.Context, status int, err error) Result {
	switch {
	case err == nil:
		return resultOfStatus(status)
	case err == errPanic:
		return ResultPanicked
	case ctx.Err() != nil:
		return resultOfEnd(ctx)
	case isPast(ctx): // the timer of http.Client may be ahead of that of the context
		return ResultTimeout
	case isTimeout(err):
		return ResultTimeout
	case errors.Is(err, context.Canceled), strings.Contains(err.Error(), "net/http: request canceled"): // by Request.Cancel
		return ResultCancelled
	}
	return ResultError
}

// isPast reports whether the deadline of a context has passed.
func isPast(ctx context.Context) bool {
	t, ok := ctx.Deadline()
	return ok && !time.Now().Before(t)
}

func resultOfStatus(status int) Result {
	switch {
	case status < 400: // 0 is an operation of Do
		return ResultSuccess
	case status == http.StatusTooManyRequests:
		return ResultThrottled
	case status == http.StatusServiceUnavailable:
		return ResultUnavailable
	case status < 500:
		return ResultClientError
	}
	return ResultServerError
}

// resultOfEnd is for a context that is done.
func resultOfEnd(ctx context.Context) Result {
	cause := context.Cause(ctx)
	if cause == errOutrun {
		return ResultOutrun
	}
	if _, late := cause.(*timeoutError); late || ctx.Err() == context.DeadlineExceeded {
		return ResultTimeout
	}
	return ResultCancelled
}
