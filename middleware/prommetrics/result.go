package prommetrics

import (
	"context"
	"errors"
	"net/http"
)

// result is what an attempt, or a request, came to.
type result int8

const (
	success result = iota
	clientError
	throttled
	unavailable
	serverError
	timedOut
	cancelled
	failed
	results int = iota
)

var resultWords = [results]string{
	success: "success", clientError: "client_error", throttled: "throttled", unavailable: "unavailable",
	serverError: "server_error", timedOut: "timeout", cancelled: "cancelled", failed: "error",
}

func resultOf(status int, err error) result {
	switch {
	case err != nil:
		return resultOfError(err)
	case status < 400: // 0 is an operation of transport.Do
		return success
	case status == http.StatusTooManyRequests:
		return throttled
	case status == http.StatusServiceUnavailable:
		return unavailable
	case status < 500:
		return clientError
	}
	return serverError
}

func resultOfError(err error) result {
	var t interface{ Timeout() bool }
	switch {
	case errors.As(err, &t) && t.Timeout():
		return timedOut
	case errors.Is(err, context.Canceled):
		return cancelled
	}
	return failed
}
