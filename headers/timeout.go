package headers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxSkew bounds how far ahead a point in time may lie to be taken for a
// deadline rather than for a wrong clock.
const maxSkew = time.Hour

// FormatTimeout formats the time that is left as the value of Request-Timeout-Ms or
// Request-Attempt-Timeout-Ms, in milliseconds. It rounds up, so that the client times
// out before its server does and reports its own timeout. It returns "0" when
// nothing is left. The time that a request waited, in Request-Queued-Ms, is formatted
// in the same way.
func FormatTimeout(d time.Duration) string { return strconv.FormatInt(milliseconds(d), 10) }

// AppendTimeout appends to b what [FormatTimeout] returns.
func AppendTimeout(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, milliseconds(d), 10)
}

func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((min(d, MaxDelay) + time.Millisecond - 1) / time.Millisecond)
}

// whole reads a number of units that has no fraction.
func whole(s string, unit time.Duration) (time.Duration, bool) {
	n, ok := digits(s, int64(MaxDelay/unit))
	return time.Duration(n) * unit, ok
}

// TimeoutOf returns how long the caller waits for the whole response, including its
// body, and false if the header does not say. It is the shortest of
// Request-Timeout-Ms, Grpc-Timeout and Connect-Timeout-Ms. None of them is a point
// in time, so now does not matter; compare [AttemptTimeoutOf]. Prefer: wait (RFC
// 7240) is not a timeout, because the client still wants a response that comes
// later. The result is in [0, MaxDelay]; 0 means that the request has expired.
func TimeoutOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	if len(h) == 0 {
		return 0, false
	}
	var least shortest
	least.milliseconds(h, RequestTimeoutMs)
	least.milliseconds(h, connectTimeoutMs)
	for v := range lines(h, grpcTimeout) {
		least.take(parseGrpcTimeout(v))
	}
	return least.d, least.ok
}

// AttemptTimeoutOf returns how long the client waits for the response header of
// this attempt, and false if the header does not say. It is the shortest of
// Request-Attempt-Timeout-Ms, X-Envoy-Expected-Rq-Timeout-Ms, X-Stainless-Timeout
// and the ttl of Amz-Sdk-Request. Clients that send them may send another attempt
// when the time has passed. The ttl is a point in time; it is ignored if it is in
// the past or more than an hour after now, because then a clock is wrong. The result
// is in [0, MaxDelay]. It does not limit the time for the response body: see
// [TimeoutOf].
func AttemptTimeoutOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	if len(h) == 0 {
		return 0, false
	}
	var least shortest
	least.milliseconds(h, RequestAttemptTimeoutMs)
	least.milliseconds(h, envoyExpected)
	for v := range lines(h, stainlessTimeout) {
		least.take(span(v, time.Second))
	}
	for v := range lines(h, amzSdkRequest) {
		least.take(amzTTL(v, now))
	}
	return least.d, least.ok
}

// shortest is the minimum of the durations it takes.
type shortest struct {
	d  time.Duration
	ok bool
}

func (s *shortest) take(d time.Duration, ok bool) {
	if ok && (!s.ok || d < s.d) {
		s.d, s.ok = d, true
	}
}

func (s *shortest) milliseconds(h http.Header, name string) {
	for v := range lines(h, name) {
		s.take(whole(v, time.Millisecond))
	}
}

// parseGrpcTimeout reads up to eight digits and a unit (gRPC over HTTP/2).
func parseGrpcTimeout(v string) (time.Duration, bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	var unit time.Duration
	switch v[len(v)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	return whole(v[:len(v)-1], unit)
}

// amzTTL reads "ttl=20061122T150405Z" out of Amz-Sdk-Request.
func amzTTL(v string, now time.Time) (time.Duration, bool) {
	if overlong(v) {
		return 0, false
	}
	for part := range strings.SplitSeq(v, ";") {
		value, found := strings.CutPrefix(trim(part), "ttl=")
		if !found {
			continue
		}
		c := cursor{text: value, ok: true}
		year, month, day := c.number(4), c.number(2), c.number(2)
		c.expect("T")
		hour, minute, second := c.number(2), c.number(2), c.number(2)
		c.expect("Z")
		if !c.ok || c.text != "" {
			return 0, false
		}
		left := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Sub(now)
		return left, left > 0 && left <= maxSkew
	}
	return 0, false
}
