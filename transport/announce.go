package transport

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// told is what a request says of its time when its call begins here: by hand, or
// since it is passed on, as a reverse proxy does with the header of its own
// client.
type told struct {
	at            time.Time
	call, attempt patience
}

// patience is how long somebody waits, if that is known.
type patience struct {
	d     time.Duration
	known bool
}

// shorten takes over another limit if it is the shorter.
func (p *patience) shorten(d time.Duration) {
	if !p.known || d < p.d {
		p.d, p.known = d, true
	}
}

// toldBy returns nil for a header that says nothing, as nearly all.
func toldBy(h http.Header) *told {
	if len(h) == 0 {
		return nil
	}
	now := time.Now()
	call, inAll := headers.TimeoutOf(h, now)
	attempt, each := headers.AttemptTimeoutOf(h, now)
	if !inAll && !each {
		return nil
	}
	return &told{now, patience{call, inAll}, patience{attempt, each}}
}

// lower counts down what the request was told, from the beginning of the call and
// in whole milliseconds, so that it does not change before it has to.
func (t *told) lower(call, attempt *patience) {
	gone := time.Since(t.at).Truncate(time.Millisecond)
	if t.call.known {
		call.shorten(max(t.call.d-gone, 0))
	}
	if t.attempt.known {
		attempt.shorten(max(t.attempt.d-gone, 0))
	}
}

// times returns what is left of the caller's deadline, and how long an attempt that
// begins now waits for its response header.
func times(req *http.Request, limit time.Duration) (call, attempt patience) {
	if limit > 0 {
		attempt.shorten(limit)
	}
	deadline, ok := req.Context().Deadline()
	if !ok {
		return call, attempt
	}
	left := max(time.Until(deadline), time.Millisecond)
	if _, upgrade := req.Header["Upgrade"]; upgrade {
		attempt.shorten(left) // what comes of it does not end with the context
		return call, attempt
	}
	if attempt.known {
		attempt.shorten(left)
	}
	return patience{left, true}, attempt
}

// says reports whether a header of the request is to be set to what is known now.
// A list that is empty is how the caller says that it is not to be sent.
func says(h http.Header, name string, now, before patience) bool {
	if !now.known || before.known && now.d >= before.d {
		return false
	}
	values, own := h[name]
	return !own || len(values) > 0
}

// announced returns the request with the headers that tell the server which
// attempt this is, what is left of the caller's deadline, and how long the attempt
// waits for its response header. Times that the caller has set, or passes on, are
// only lowered; its own Retry-Attempt stays.
func announced(req *http.Request, ctx *attemptCtx) *http.Request {
	if ctx.round.loop.dryRun || req.Header == nil { // which is for the base to refuse
		return req
	}
	p := ctx.round.call.policy
	call, attempt := times(req, p.AttemptTimeout)
	var before told
	if ctx.round.told != nil {
		before = *ctx.round.told
		before.lower(&call, &attempt)
	}
	_, ownAttempt := req.Header[headers.RetryAttempt]
	counts := !ownAttempt && ctx.number > 1
	saysCall := says(req.Header, headers.RequestTimeoutMs, call, before.call)
	saysAttempt := says(req.Header, headers.RequestAttemptTimeoutMs, attempt, before.attempt)
	if !counts && !saysCall && !saysAttempt {
		return req
	}
	if !ctx.own {
		req = withHeader(req)
	}
	if counts {
		a := headers.Attempt{N: int(ctx.number), Max: p.MaxAttempts, ID: ctx.round.callID()}
		req.Header[headers.RetryAttempt] = []string{a.String()}
	}
	if !saysCall && !saysAttempt {
		return req
	}
	// Both in one piece of memory: nearly every request has both.
	var digits [32]byte
	b := headers.AppendTimeout(digits[:0], call.d)
	n := len(b)
	text := string(headers.AppendTimeout(b, attempt.d))
	values := []string{text[:n], text[n:]}
	if saysCall {
		req.Header[headers.RequestTimeoutMs] = values[:1:1]
	}
	if saysAttempt {
		req.Header[headers.RequestAttemptTimeoutMs] = values[1:]
	}
	return req
}

// withHeader returns a copy of req whose header may be written.
func withHeader(req *http.Request) *http.Request {
	req = req.WithContext(req.Context())
	req.Header = req.Header.Clone()
	return req
}

// callID tells the attempts of one call from those of others. It is no
// secret, so it need not be hard to guess.
func (r *round) callID() string {
	if r.id == 0 {
		r.id = rand.Uint64()
	}
	return strconv.FormatUint(r.id, 36)
}
