package middleware

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// maxUnread is how much of an unread body net/http reads to keep a connection.
const maxUnread = 256 << 10

// spread returns when a client should come back: in 1 to 3 seconds. The range
// matters more than its place, since clients that were refused in one moment
// and told the same second come back in one moment.
func spread() time.Duration { return time.Second + rand.N(2*time.Second) }

// refuse answers a request that does not reach the handler.
func refuse(w http.ResponseWriter, r *http.Request, reason ShedReason) {
	status, text, kind := http.StatusServiceUnavailable, "The server has no capacity left. Please try again later.",
		"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
	h := w.Header()
	if reason == ShedExpired {
		status, text, kind = http.StatusGatewayTimeout, "The deadline of the request has passed.", "about:blank"
		headers.SetVerdict(h, headers.DoNotRetry)
	} else {
		headers.SetVerdict(h, headers.Retry)
		headers.SetRetryAfter(h, spread())
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Rather than take in a body for nothing, end the connection.
	if r.ProtoMajor == 1 && (r.ContentLength < 0 || r.ContentLength > maxUnread) {
		h.Set("Connection", "close")
	}
	if wantsProblem(r) {
		h.Set("Content-Type", "application/problem+json")
		text = fmt.Sprintf(`{"type":%q,"title":%q,"status":%d,"detail":%q}`, kind, http.StatusText(status), status, text)
	} else {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text+"\n")
	}
}

// wantsProblem reports whether the client asks for JSON (RFC 9457).
func wantsProblem(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		for item := range strings.SplitSeq(accept, ",") {
			media, _, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "application/json", "application/problem+json":
				return true
			}
		}
	}
	return false
}

// complete gives the handler's own refusal a Retry-After if it has none and
// does not say that there is no point in it. Whether the work was begun is
// known to the handler alone, so there is no X-Should-Retry.
func complete(h http.Header, status int) {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return
	}
	_, after := h[headers.RetryAfter]
	_, afterMs := h[headers.RetryAfterMs]
	if !after && !afterMs && headers.VerdictOf(h) != headers.DoNotRetry {
		headers.SetRetryAfter(h, spread())
	}
}
