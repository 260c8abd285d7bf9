package headers

import (
	"iter"
	"net/http"
	"strings"
)

const (
	// maxValue is how many bytes of a header are read. No honest value is as long,
	// and reading takes time before a request can be refused.
	maxValue = 8 << 10
	// lineCost is what a line counts for besides its length, as in the size of a
	// header list (RFC 9113 section 10.5.1), so that empty ones end too.
	lineCost = 32
)

// lines yields the lines of a header, without the space around them, until it
// has read maxValue of them. One that is longer is cut behind its byte maxValue,
// by which [overlong] tells it.
func lines(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		left := maxValue
		for _, v := range h[name] {
			if left <= 0 || !yield(trim(v)) {
				return
			}
			left -= len(v) + lineCost
		}
	}
}

// only returns the value of a header if it is given once, or several times with the
// same value. If values differ, nobody can tell which is meant. It is cut as in
// [lines].
func only(h http.Header, name string) (value string, ok bool) {
	for v := range lines(h, name) {
		if ok && v != value {
			return "", false
		}
		value, ok = v, true
	}
	return value, ok
}

// trim removes optional white space (RFC 9110 section 5.6.3) of what is read of
// a value.
func trim(s string) string {
	if overlong(s) {
		s = s[:maxValue+1]
	}
	return strings.Trim(s, " \t")
}

// overlong reports whether a value has more than is read of it. A number with
// so many digits is only large, but a list that is cut is another list.
func overlong(s string) bool { return len(s) > maxValue }
