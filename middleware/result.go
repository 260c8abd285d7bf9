package middleware

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// A Result is the outcome of a request in one word. The list is closed. The same
// words are the metric label, the attribute and the status of the span, and the log
// field.
type Result string

const (
	ResultSuccess     Result = "success"      // the handler answered with a status below 400
	ResultClientError Result = "client_error" // the handler answered with a status from 400 to 499, except 429
	ResultThrottled   Result = "throttled"    // the handler answered 429
	ResultUnavailable Result = "unavailable"  // the handler answered 503
	ResultServerError Result = "server_error" // the handler answered with any other status from 500
	ResultTimeout     Result = "timeout"      // the deadline passed before the handler had answered
	ResultCancelled   Result = "cancelled"    // the client left before it had the answer
	ResultAborted     Result = "aborted"      // the handler broke the response off with http.ErrAbortHandler
	ResultPanicked    Result = "panicked"     // the handler panicked in another way
	ResultHijacked    Result = "hijacked"     // the handler took over the connection
	ResultShed        Result = "shed"         // the request was refused: see ShedReason
)

// Result returns the outcome of the request. A stream whose client has left by the
// time its handler returns is a success, because streams end that way. In a dry run
// it is the outcome in the handler.
func (e Event) Result() Result {
	switch {
	case e.Shed != ShedNone && !e.DryRun:
		return ResultShed
	case e.Panicked:
		return ResultPanicked
	case e.Hijacked:
		return ResultHijacked
	case e.Expired:
		return ResultTimeout
	case e.Gone:
		return ResultCancelled
	case e.Aborted:
		return ResultAborted
	case e.Status < 400:
		return ResultSuccess
	case e.Status == http.StatusTooManyRequests:
		return ResultThrottled
	case e.Status == http.StatusServiceUnavailable:
		return ResultUnavailable
	case e.Status < 500:
		return ResultClientError
	}
	return ResultServerError
}

// ended says in the event how the handler ended.
func (x *exchange) ended(e *Event, over time.Duration, streamed bool, panicked any) {
	if e.Shed != ShedNone && !e.DryRun {
		return
	}
	// This is how a handler breaks off a response that has begun. It is no fault of the
	// program: httputil.ReverseProxy does it when either end is lost.
	e.Aborted = panicked == http.ErrAbortHandler
	e.Panicked = !x.done && !e.Aborted
	left := x.broken || x.cut || x.origin().Context().Err() != nil
	cut := e.Aborted || x.done && left && !streamed && !x.delivered()
	e.Expired = x.late || cut && x.expired(over)
	e.Gone = cut && left && !e.Expired
}

// brokeOff notes that a write failed because the client has left. The context may
// report that later.
func (x *exchange) brokeOff(err error) {
	if err == nil {
		return
	}
	var op *net.OpError // errors.As has it escape
	switch {
	case errors.As(err, &op) && op.Op == "read": // of what ReadFrom reads
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.cut = true
	case !isMisuse(err):
		x.broken = true
	}
}

// isMisuse reports whether a write failed because of a mistake of the handler.
func isMisuse(err error) bool {
	for _, own := range []error{http.ErrHijacked, http.ErrBodyNotAllowed, http.ErrContentLength, http.ErrNotSupported, http.ErrHandlerTimeout} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// expired reports whether the deadline of the request has passed. If it has cut a write
// off or reset the stream, net/http may say that the client has gone before the context
// knows of the deadline.
func (x *exchange) expired(now time.Duration) bool {
	return x.cut || x.request.Context().Err() == context.DeadlineExceeded || x.passed(now)
}

// delivered reports whether all of the response is written that was announced.
// A client that has it may leave before the handler returns.
func (x *exchange) delivered() bool {
	if x.status == http.StatusNoContent || x.status == http.StatusNotModified || x.status != 0 && x.request.Method == http.MethodHead {
		return true
	}
	length, err := strconv.ParseInt(x.Header().Get("Content-Length"), 10, 64)
	return err == nil && x.status != 0 && x.bytes >= length
}
