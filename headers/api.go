// Package headers is the wire vocabulary of evenkeel.
package headers

import (
	"context"
	"net/http"
	"time"
)

type Verdict int8

const (
	NoVerdict Verdict = iota
	Retry
	DoNotRetry
)

func VerdictOf(h http.Header) Verdict     { return NoVerdict }
func SetVerdict(h http.Header, v Verdict) {}

func Delay(h http.Header, now time.Time) (d time.Duration, ok bool)          { return 0, false }
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) { return 0, false }
func SetRetryAfter(h http.Header, d time.Duration)                           {}

type Attempt struct {
	N, Max int
	ID     string
}

func (a Attempt) String() string                     { return "" }
func ParseAttempt(value string) (a Attempt, ok bool) { return Attempt{}, false }
func AttemptOf(h http.Header) (a Attempt, ok bool)   { return Attempt{}, false }

func FormatTimeout(d time.Duration) string                              { return "" }
func ParseTimeout(value string) (d time.Duration, ok bool)              { return 0, false }
func TimeoutOf(h http.Header, now time.Time) (d time.Duration, ok bool) { return 0, false }

func FormatIdempotencyKey(key string) string                 { return "" }
func ParseIdempotencyKey(value string) (key string, ok bool) { return "", false }
func IdempotencyKeyOf(h http.Header) (key string, ok bool)   { return "", false }

// ServiceKey is the key of the context value that names the service a request
// goes to. The value is a *string, so that reading it allocates nothing.
type ServiceKey struct{}

func Service(ctx context.Context) string { return "" }
