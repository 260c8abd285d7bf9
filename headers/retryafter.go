package headers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Delay returns how long the server asks the client to wait. It reads, and the
// first that is there and well formed wins: Retry-After-Ms,
// X-Ms-Retry-After-Ms, X-Amz-Retry-After, Grpc-Retry-Pushback-Ms, Retry-After,
// and then the reset of a rate limit of which nothing is left: RateLimit,
// RateLimit-Reset, X-RateLimit-Reset-After, X-RateLimit-Reset.
//
// Points in time count from the Date of the response where it has one, so that
// a wrong clock here does no harm, else from now. The result is in
// [0, MaxDelay].
func Delay(h http.Header, now time.Time) (d time.Duration, ok bool) {
	if len(h) == 0 {
		return 0, false
	}
	for _, name := range [...]string{RetryAfterMs, XMsRetryAfterMs, XAmzRetryAfter} {
		if v, ok := only(h, name); ok {
			if d, ok := span(v, time.Millisecond); ok {
				return d, true
			}
		}
	}
	if ms, ok := pushback(h); ok {
		return clamp(time.Duration(ms) * time.Millisecond), true
	}
	if v, ok := only(h, RetryAfter); ok {
		if d, ok := ParseRetryAfter(v, sent(h, now)); ok {
			return d, true
		}
	}
	return resetOf(h, now)
}

// sent returns when the server sent the response, by its own clock.
func sent(h http.Header, now time.Time) time.Time {
	if v, ok := only(h, "Date"); ok {
		if t, err := http.ParseTime(v); err == nil {
			return t
		}
	}
	return now
}

// ParseRetryAfter reads the value of a Retry-After header: seconds, also with
// a fraction, or a date in one of the three forms of RFC 9110 section 5.6.7,
// or in the form with "UTC" that some libraries write. A date that has passed
// is a wait of 0. The result is in [0, MaxDelay].
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	value = trim(value)
	if d, ok := span(value, time.Second); ok {
		return d, true
	}
	t, ok := date(value)
	if !ok {
		return 0, false
	}
	return clamp(t.Sub(now)), true
}

func date(value string) (time.Time, bool) {
	// Parsing what cannot be a date would allocate an error for each try.
	if len(value) < len("Sun Nov  6 08:49:37 1994") || len(value) > len("Wednesday, 06-Nov-94 08:49:37 GMT") {
		return time.Time{}, false
	}
	if t, err := http.ParseTime(value); err == nil {
		return t, true
	}
	if strings.HasSuffix(value, " UTC") {
		if t, err := time.Parse(time.RFC1123, value); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// SetRetryAfter asks the client to wait for d: exactly in Retry-After-Ms, and
// rounded up to whole seconds, at least 1, in Retry-After, whose grammar knows
// no fraction. Times below 0 count as 0, those over MaxDelay as MaxDelay.
func SetRetryAfter(h http.Header, d time.Duration) {
	ms := (clamp(d) + time.Millisecond - 1) / time.Millisecond
	h[RetryAfterMs] = []string{strconv.FormatInt(int64(ms), 10)}
	h[RetryAfter] = []string{strconv.FormatInt(max(1, int64(ms+999)/1000), 10)}
}
