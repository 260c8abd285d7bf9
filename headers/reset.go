package headers

import (
	"net/http"
	"strings"
	"time"
)

// resetOf returns when a rate limit of which nothing is left is restored: the
// latest of the RateLimit items, since all of them must allow a request.
func resetOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	var most longest
	for value := range lines(h, RateLimit) {
		var latest longest
		whole := eachLimit(value, func(l ServiceLimit, _ bareItem) bool {
			latest.take(l.Reset, l.Remaining == 0 && l.HasReset)
			return true
		})
		most.take(latest.d, latest.ok && whole)
	}
	if most.ok {
		return most.d, true
	}
	if spent(h, rateLimitRemaining) {
		if d, ok := longestSpan(h, rateLimitReset, time.Second); ok {
			return d, true
		}
	}
	if spent(h, xRateLimitRemaining) {
		now := sent(h, now)
		for _, name := range [...]string{xRateLimitResetAfter, xRateLimitReset} {
			for v := range lines(h, name) {
				for part := range waits(v) {
					most.take(parseReset(trim(part), now))
				}
			}
			if most.ok {
				return most.d, true
			}
		}
	}
	return 0, false
}

// spent reports whether a limit has nothing left.
func spent(h http.Header, name string) bool {
	v, ok := only(h, name)
	if !ok {
		return false
	}
	n, ok := span(v, time.Second)
	return ok && n == 0
}

// parseReset reads X-RateLimit-Reset, which has no standard: a Go duration
// (OpenAI), RFC 3339 (Anthropic), an HTTP date, seconds to wait (Reddit), or
// an epoch in seconds (GitHub) or milliseconds. Size tells the last three
// apart: nobody waits 1e8 seconds, and 1e12 are no epoch in seconds. now is by the
// clock of the server.
func parseReset(v string, now time.Time) (time.Duration, bool) {
	if d, ok := span(v, time.Second); ok {
		whole, _, _ := strings.Cut(v, ".")
		n, _ := digits(whole, 1e15)
		switch {
		case n >= 1e12:
			return clamp(time.UnixMilli(n).Sub(now)), true
		case n >= 1e8:
			return clamp(time.Unix(n, 0).Sub(now)), true
		}
		return d, true
	}
	if d, ok := goDuration(v); ok {
		return d, true
	}
	t, ok := rfc3339(v)
	if !ok {
		t, ok = date(v, now)
	}
	if !ok {
		return 0, false
	}
	return clamp(t.Sub(now)), true
}

// goDuration reads what [time.Duration] writes, such as 6m0s or 1.5s.
func goDuration(v string) (total time.Duration, ok bool) {
	for v != "" {
		n := 0
		for n < len(v) && (isDigit(v[n]) || v[n] == '.') {
			n++
		}
		number, unit := v[:n], time.Duration(0)
		v = v[n:]
		for _, u := range [...]struct {
			name string
			unit time.Duration
		}{
			{"h", time.Hour}, {"ms", time.Millisecond}, {"m", time.Minute}, {"s", time.Second},
			{"us", time.Microsecond}, {"\u00b5s", time.Microsecond}, {"\u03bcs", time.Microsecond}, {"ns", time.Nanosecond},
		} {
			if rest, found := strings.CutPrefix(v, u.name); found {
				v, unit = rest, u.unit
				break
			}
		}
		if unit == 0 {
			return 0, false
		}
		d, ok := span(number, unit)
		if !ok {
			return 0, false
		}
		total = min(total+d, MaxDelay)
	}
	return total, true
}

// rfc3339 reads a point in time that [time.RFC3339] describes. What does not look
// like one is not parsed, since that would allocate the error.
func rfc3339(v string) (time.Time, bool) {
	if len(v) < len("2006-01-02T15:04:05Z") || len(v) > len("2006-01-02T15:04:05.000000000+00:00") || v[4] != '-' || v[10] != 'T' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, v)
	return t, err == nil
}
