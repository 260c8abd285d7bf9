package headers

import (
	"net/http"
	"strings"
	"time"
)

// resetOf returns when a rate limit of which nothing is left is restored: the
// latest of the RateLimit items, since all of them must allow a request.
func resetOf(h http.Header, now time.Time) (d time.Duration, ok bool) {
	for _, value := range h[RateLimit] {
		var latest time.Duration
		found := false
		whole := eachLimit(value, func(l ServiceLimit, _ bareItem) bool {
			if l.Remaining == 0 && l.HasReset {
				latest, found = max(latest, l.Reset), true
			}
			return true
		})
		if whole && found {
			d, ok = max(d, latest), true
		}
	}
	if ok {
		return d, true
	}
	if spent(h, rateLimitRemaining) {
		if v, has := only(h, rateLimitReset); has {
			if d, ok := whole(v, time.Second); ok {
				return d, true
			}
		}
	}
	if spent(h, xRateLimitRemaining) {
		for _, name := range [...]string{xRateLimitResetAfter, xRateLimitReset} {
			if v, has := only(h, name); has {
				if d, ok := parseReset(v, h, now); ok {
					return d, true
				}
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
// apart: 1e9 seconds are 31 years, 1e12 are no epoch in seconds.
func parseReset(v string, h http.Header, now time.Time) (time.Duration, bool) {
	if v == "" {
		return 0, false
	}
	if last := v[len(v)-1]; isAlpha(last) && isDigit(v[0]) && last != 'Z' {
		d, err := time.ParseDuration(v)
		return clamp(d), err == nil && d >= 0
	}
	if d, ok := span(v, time.Second); ok {
		whole, _, _ := strings.Cut(v, ".")
		n, _ := digits(whole, 1e15)
		switch {
		case n >= 1e12:
			return clamp(time.UnixMilli(n).Sub(sent(h, now))), true
		case n >= 1e9:
			return clamp(time.Unix(n, 0).Sub(sent(h, now))), true
		}
		return d, true
	}
	if len(v) >= len("2006-01-02T15:04:05Z") && v[4] == '-' {
		t, err := time.Parse(time.RFC3339, v)
		return clamp(t.Sub(sent(h, now))), err == nil
	}
	t, ok := date(v)
	if !ok {
		return 0, false
	}
	return clamp(t.Sub(sent(h, now))), true
}
