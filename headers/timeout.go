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

// FormatTimeout formats the time that is left as the value of
// Request-Timeout-Ms or Request-Attempt-Timeout-Ms: whole milliseconds, rounded up
// so that a client comes to the end of its time before its server does, and has an
// error that says so. It is "0" when none is left.
func FormatTimeout(d time.Duration) string { return strconv.FormatInt(milliseconds(d), 10) }

// AppendTimeout appends what [FormatTimeout] formats.
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

// TimeoutOf returns how long the caller waits for the whole answer, its body
// included, and false if the header does not say. It is the shortest that any of
// the dialects gives, in any of their lines: Request-Timeout-Ms, Grpc-Timeout and
// Connect-Timeout-Ms. None of them is a point in time, so now does not matter;
// compare [AttemptTimeoutOf]. Prefer: wait (RFC 7240) is no timeout: it asks for
// an answer within some time, and for none less. The result is in [0, MaxDelay];
// 0 is a request that has expired.
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
// and the ttl of Amz-Sdk-Request, whose senders bound each attempt and may send
// another after it. The ttl is a point in time: one that lies in the past or more
// than an hour ahead of now says more about the clocks than about the client and
// is ignored. The result is in [0, MaxDelay]. It says nothing of the time that the
// response body may take: see [TimeoutOf].
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
