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
	// Retry says that the request may be sent again, whatever its method, because
	// the server did not begin it.
	Retry
	// DoNotRetry says that it must not be sent again.
	DoNotRetry
)

// VerdictOf reads X-Should-Retry, Stripe-Should-Retry and Grpc-Retry-Pushback-Ms.
// A pushback that is negative or not a number means DoNotRetry (gRPC A6). DoNotRetry
// wins over Retry. X-Envoy-Ratelimited is not a verdict: it only stops proxies, and
// comes with a 429 that says when to come back.
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

// Hinted reports whether a response says when or whether to send the request again:
// it has a verdict, or a wait that [RetryAfterOf] reads. A server that sheds load
// sends such a hint; a proxy that has lost its backend does not.
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

// pushback returns the longest of the gRPC pushbacks: signed 32-bit numbers of
// milliseconds. If one of them is negative or malformed it returns false, because
// that forbids a retry.
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

// SetVerdict writes the verdict of a server in X-Should-Retry. With DoNotRetry it
// also writes X-Envoy-Ratelimited, the one header that current Envoys obey, and
// Grpc-Retry-Pushback-Ms if the Content-Type is one of gRPC. With NoVerdict it writes
// nothing.
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
