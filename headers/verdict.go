package headers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Verdict is what a server says about sending a request again.
type Verdict int8

const (
	// NoVerdict leaves it to the client.
	NoVerdict Verdict = iota
	// Retry says that the request may be sent again whatever its method is,
	// since it was not begun.
	Retry
	// DoNotRetry says that it must not be sent again.
	DoNotRetry
)

// VerdictOf reads X-Should-Retry, Stripe-Should-Retry and
// Grpc-Retry-Pushback-Ms, of which a value that is negative or not a number
// means never (gRPC A6). DoNotRetry wins over Retry. X-Envoy-Ratelimited is
// not a verdict here: it comes with a 429 that says when to come back, and is
// there to stop proxies only.
func VerdictOf(h http.Header) Verdict {
	x, stripe := verdict(h, XShouldRetry), verdict(h, stripeShouldRetry)
	if x == DoNotRetry || stripe == DoNotRetry {
		return DoNotRetry
	}
	if values, ok := h[grpcPushbackMs]; ok && len(values) > 0 {
		if _, ok := pushback(h); !ok {
			return DoNotRetry
		}
	}
	return max(x, stripe)
}

// Hinted reports whether a response says when or whether to send the request
// again, in any of the dialects: it has a verdict, or a wait that [RetryAfterOf] reads.
// A server that sheds load says so; a proxy that has lost its backend does not.
func Hinted(h http.Header, now time.Time) bool {
	if VerdictOf(h) != NoVerdict {
		return true
	}
	_, ok := RetryAfterOf(h, now)
	return ok
}

func verdict(h http.Header, name string) Verdict {
	v, ok := only(h, name)
	switch {
	case !ok:
		return NoVerdict
	case strings.EqualFold(v, "true"):
		return Retry
	case strings.EqualFold(v, "false"):
		return DoNotRetry
	}
	return NoVerdict
}

// pushback reads the gRPC pushbacks that allow a retry, signed 32-bit numbers of
// milliseconds that are not negative, and returns the longest. One that does not
// allow it is final.
func pushback(h http.Header) (time.Duration, bool) {
	var most longest
	for v := range lines(h, grpcPushbackMs) {
		for part := range strings.SplitSeq(v, ",") {
			ms, ok := digits(trim(part), 1<<31)
			if !ok || ms == 1<<31 {
				return 0, false
			}
			most.take(clamp(time.Duration(ms)*time.Millisecond), true)
		}
	}
	return most.d, most.ok
}

// SetVerdict writes the verdict of a server: X-Should-Retry and, with
// DoNotRetry, X-Envoy-Ratelimited, the one header that current Envoys obey,
// and the pushback of gRPC if the Content-Type is a gRPC one. NoVerdict
// writes nothing.
func SetVerdict(h http.Header, v Verdict) {
	if v != Retry && v != DoNotRetry {
		return
	}
	h[XShouldRetry] = []string{strconv.FormatBool(v == Retry)}
	if v == Retry {
		return
	}
	h[xEnvoyRatelimited] = []string{"true"}
	if strings.HasPrefix(h.Get("Content-Type"), "application/grpc") {
		h[grpcPushbackMs] = []string{"-1"}
	}
}
