package headers

import (
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfterOf returns how long the server asks the client to wait. It returns the
// first of these that is present and well formed: Retry-After-Ms,
// X-Ms-Retry-After-Ms, X-Amz-Retry-After, Grpc-Retry-Pushback-Ms and Retry-After,
// then the reset of a rate limit with nothing left, in RateLimit, RateLimit-Reset,
// X-RateLimit-Reset-After and X-RateLimit-Reset. If one of them is given more than
// once, the longest wait counts, because a proxy may have added its own.
//
// Points in time are compared with the Date of the response, so that a wrong clock
// here does no harm, or else with now. The result is in [0, MaxDelay].
func RetryAfterOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	if len(h) == 0 {
		return 0, false
	}
	if d, ok := WaitOf(h, now); ok {
		return d, true
	}
	return resetOf(h, now)
}

// WaitOf is [RetryAfterOf] without the resets of rate limits. A server may send those
// with any response, so that they do not show that it refused the request for now.
func WaitOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	for _, name := range [...]string{RetryAfterMs, xMsRetryAfterMs, xAmzRetryAfter} {
		if d, ok := longestSpan(h, name, time.Millisecond); ok {
			return d, true
		}
	}
	if d, ok := pushback(h); ok {
		return d, true
	}
	if len(h[RetryAfter]) > 0 {
		var most longest
		now := sent(h, now)
		for v := range lines(h, RetryAfter) {
			for part := range waits(v) {
				most.take(ParseRetryAfter(part, now))
			}
		}
		return most.d, most.ok
	}
	return 0, false
}

// longest is the maximum of the durations it takes.
type longest struct {
	d  time.Duration
	ok bool
}

func (l *longest) take(d time.Duration, ok bool) {
	if ok {
		l.d, l.ok = max(l.d, d), true
	}
}

// longestSpan is the longest of the waits of a header that has numbers only.
func longestSpan(h http.Header, name string, unit time.Duration) (time.Duration, bool) {
	var most longest
	for v := range lines(h, name) {
		for part := range strings.SplitSeq(v, ",") {
			most.take(span(trim(part), unit))
		}
	}
	return most.d, most.ok
}

// waits yields the members of a list of waits. The comma behind a day of the
// week is part of a date.
func waits(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; {
			end := strings.IndexByte(list, ',')
			if end >= 3 && isAlpha(list[end-1]) && isAlpha(list[end-2]) && isAlpha(list[end-3]) {
				if next := strings.IndexByte(list[end+1:], ','); next >= 0 {
					end += 1 + next
				} else {
					end = -1
				}
			}
			part := list
			if more = end >= 0; more {
				part, list = list[:end], list[end+1:]
			}
			if !yield(part) {
				return
			}
		}
	}
}

// sent returns when the server sent the response, by its own clock.
func sent(h http.Header, now time.Time) time.Time {
	if v, ok := only(h, "Date"); ok {
		if t, ok := date(v, now); ok {
			return t
		}
	}
	return now
}

// ParseRetryAfter reads one value of a Retry-After header. That is a number of
// seconds, which may have a fraction, or a date in one of the three forms of RFC
// 9110 section 5.6.7, where "UTC" may stand for "GMT". A date that has passed is a
// wait of 0. The result is in [0, MaxDelay].
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	value = trim(value)
	if d, ok := span(value, time.Second); ok {
		return d, true
	}
	t, ok := date(value, now)
	if !ok {
		return 0, false
	}
	return clamp(t.Sub(now)), true
}

// SetRetryAfter asks the client to wait for d. Retry-After-Ms has it in
// milliseconds, rounded up, and Retry-After in whole seconds, rounded up, at least
// 1. Durations below 0 count as 0, and those above MaxDelay as MaxDelay.
func SetRetryAfter(h http.Header, d time.Duration) {
	ms := (clamp(d) + time.Millisecond - 1) / time.Millisecond
	values := []string{strconv.FormatInt(int64(ms), 10), strconv.FormatInt(max(1, int64(ms+999)/1000), 10)} // one allocation for two
	h[RetryAfterMs], h[RetryAfter] = values[0:1:1], values[1:]
}
