package middleware

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

const problems = "https://iana.org/assignments/http-problem-types#"

// spread returns when a client should come back if nothing better is known: in 1 to
// 3 seconds. It is random because clients that are refused in the same moment and told
// the same time would come back in the same moment.
func spread() time.Duration { return time.Second + rand.N(2*time.Second) }

// A refusal is what a refused client is told.
type refusal struct {
	status  int
	problem string // its type (RFC 9457)
	text    string
	wait    time.Duration // until it should come back; 0: not said
	verdict headers.Verdict
	close   bool // the connection
}

// refusalFor decides what to tell the client. A 504 says that the call is over only if the
// client's own deadline has passed, or would pass before the work is done.
func (x *exchange) refusalFor(reason ShedReason, wait time.Duration) refusal {
	a := refusal{
		status:  http.StatusServiceUnavailable,
		problem: problems + "temporary-reduced-capacity",
		text:    "The server has no capacity left. Please try again later.\n",
		verdict: headers.Retry,
	}
	outer := x.outerDeadline()
	switch over := x.about != nil && x.about.said && !outer; {
	case reason == ShedExpired && (over || outer):
		a.status, a.problem, a.text = http.StatusGatewayTimeout, "about:blank", "The deadline of the request has passed.\n"
		a.verdict = headers.NoVerdict
		if over {
			a.verdict = headers.DoNotRetry
		}
	case reason == ShedRate:
		a.status, a.problem = http.StatusTooManyRequests, problems+"quota-exceeded"
		a.text = "The quota is used up. Please try again later.\n"
		a.wait = wait
	case reason == ShedDrain:
		a.text = "The server is shutting down. Please try again.\n"
		a.close = true
		a.wait = drainWait + rand.N(drainWait)
	case reason == ShedGone:
		a.wait = spread()
	default:
		var again bool
		a.wait, again = x.machine.limiter.Reserve(x.machine.now(), x.asLimiter())
		if giveUp := x.machine.shedding.giveUp(); giveUp != nil && giveUp() {
			again = false
		}
		if !again {
			a.verdict = headers.DoNotRetry
			a.text = "The server has no capacity left, and will have none soon.\n"
		}
	}
	return a
}

// outerDeadline reports whether a handler further out has set the deadline that comes
// first. It may be that of the call, or of an attempt, or of the server.
func (x *exchange) outerDeadline() bool {
	d, ok := x.origin().Context().Deadline()
	return ok && (x.expires() == 0 || d.Sub(x.machine.epoch) < x.expires())
}

// asLimiter is what the limiter has to know of a request that was refused.
func (x *exchange) asLimiter() limiter.Refusal {
	r := x.origin()
	refusal := limiter.Refusal{Call: x.machine.callOf(x.machine.attempt(x, r)), Spread: spread()}
	if trust := x.machine.trust; trust == nil || trust(r) {
		var left time.Duration
		left, refusal.HasLeft = headers.TimeoutOf(r.Header, time.Time{})
		refusal.Left = left - (x.machine.now() - x.now())
	}
	return refusal
}

// refuse answers a request that does not reach the handler.
func (x *exchange) refuse(w http.ResponseWriter, reason ShedReason, wait time.Duration) {
	x.named = x.route != "" // it never gets to a router
	stays := x.takeIn()
	r, a, h := x.request, x.refusalFor(reason, wait), w.Header()
	grpc := strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
	if grpc { // SetVerdict tells by it what the client understands
		h["Content-Type"] = []string{"application/grpc"}
	}
	headers.SetVerdict(h, a.verdict)
	if a.wait > 0 {
		headers.SetRetryAfter(h, a.wait)
	}
	values := []string{"no-store", "nosniff", "text/plain; charset=utf-8"} // one allocation for three
	h["Cache-Control"], h["X-Content-Type-Options"], h["Content-Type"] = values[0:1:1], values[1:2:2], values[2:]
	if a.close || !stays { // an HTTP/2 server takes it for GOAWAY
		h["Connection"] = []string{"close"}
	}
	text := a.text // ends its line
	if wantsProblem(r) {
		values[2] = "application/problem+json"
		text = fmt.Sprintf(`{"type":%q,"title":%q,"status":%d,"detail":%q}`, a.problem, http.StatusText(a.status), a.status, text[:len(text)-1]) + "\n"
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		x.boundUnread()
	}
}

// maxAccept is how much of the Accept lines of a request is read, each of which
// counts for some more than its length.
const maxAccept, acceptLine = 1 << 10, 32

// wantsProblem reports whether the client asks for JSON (RFC 9457).
func wantsProblem(r *http.Request) bool {
	left := maxAccept
	for _, accept := range r.Header["Accept"] {
		if left <= 0 {
			break
		}
		accept = accept[:min(len(accept), left)]
		left -= len(accept) + acceptLine
		for item := range strings.SplitSeq(accept, ",") {
			media, params, _ := strings.Cut(item, ";")
			media = strings.TrimSpace(media)
			if strings.EqualFold(media, "application/json") || strings.EqualFold(media, "application/problem+json") {
				return strings.ReplaceAll(params, " ", "") != "q=0"
			}
		}
	}
	return false
}

// complete finishes the header of the handler's own answer. Only the handler knows why
// it refuses, and for how long. So a refusal gets a Retry-After only while the server
// has no room for more, and only if no header says when or whether to come back. It
// gets no X-Should-Retry: true, because its work may have begun. A failure gets
// X-Should-Retry: false if a server further down said so.
func (x *exchange) complete(h http.Header, status int) {
	if status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		return
	}
	if _, own := h[headers.XShouldRetry]; !own && x.about != nil && x.about.hop.SaidNo() {
		headers.SetVerdict(h, headers.DoNotRetry)
	}
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return
	}
	// A Retry-After of the handler is kept even if it cannot be parsed.
	if _, own := h[headers.RetryAfter]; !own && x.shortOfRoom() && !headers.Hinted(h, time.Now()) {
		headers.SetRetryAfter(h, spread())
	}
}

// shortOfRoom reports whether the server refuses requests at the moment, or
// would refuse the next.
func (x *exchange) shortOfRoom() bool {
	l := x.machine.limiter
	return l != nil && !x.machine.dryRun && l.Short(x.machine.now(), x.held.Slots())
}
