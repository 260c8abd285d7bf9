package transport

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// told has the times that a request carries when its call begins. They were set by hand
// or, in a reverse proxy, by the inbound request.
type told struct {
	at            time.Time
	call, attempt patience
}

// patience is how long a client waits, if that is known.
type patience struct {
	d     time.Duration
	known bool
}

// shorten lowers the limit to d.
func (p *patience) shorten(d time.Duration) {
	if !p.known || d < p.d {
		p.d, p.known = d, true
	}
}

// toldBy returns nil for a header without times, as most are.
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

// lower reduces call and attempt to what is left of the told times. It counts whole
// milliseconds, so that values do not change sooner than they must.
func (t *told) lower(call, attempt *patience) {
	gone := time.Since(t.at).Truncate(time.Millisecond)
	if t.call.known {
		call.shorten(max(t.call.d-gone, 0))
	}
	if t.attempt.known {
		attempt.shorten(max(t.attempt.d-gone, 0))
	}
}

// times returns what is left until the caller's deadline, and how long an attempt that
// starts now waits for its response header.
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
		attempt.shorten(left) // the upgraded connection outlives the context
		return call, attempt
	}
	if attempt.known {
		attempt.shorten(left)
	}
	return patience{left, true}, attempt
}

// says reports whether a header is to be set to the time known now. An empty list of
// values is the caller's request not to send it.
func says(h http.Header, name string, now, before patience) bool {
	if !now.known || before.known && now.d >= before.d {
		return false
	}
	values, own := h[name]
	return !own || len(values) > 0
}

// announced returns the request with the headers that tell the server the number of the
// attempt, the time left until the deadline, and how long the attempt waits. Times that
// the request carries are only lowered. Its own Retry-Attempt stays, unless that is the
// first attempt of a chain further out and this one is not. The first attempt has its
// number only beside a time: a header for the number alone would cost three allocations.
func announced(req *http.Request, ctx *attemptCtx) *http.Request {
	r := ctx.round
	if r.loop.dryRun || req.Header == nil { // the base refuses it
		return req
	}
	p := r.call.policy
	call, attempt := times(req, p.AttemptTimeout)
	var before told
	if r.told != nil {
		before = *r.told
		before.lower(&call, &attempt)
	}
	_, ownAttempt := req.Header[headers.RetryAttempt]
	counts := ctx.number > 1 && (!ownAttempt || isFirst(req.Header))
	saysCall := says(req.Header, headers.RequestTimeoutMs, call, before.call)
	saysAttempt := says(req.Header, headers.RequestAttemptTimeoutMs, attempt, before.attempt)
	if !counts && !saysCall && !saysAttempt {
		return req
	}
	if !ctx.own {
		req = withHeader(req)
	}
	if counts {
		a := headers.Attempt{N: int(ctx.number), Max: p.MaxAttempts, ID: strconv.FormatUint(r.callID(), 36)}
		req.Header[headers.RetryAttempt] = []string{a.String()}
	}
	if !saysCall && !saysAttempt {
		return req
	}
	// One allocation for all, because nearly every request has them.
	var digits [96]byte
	b := headers.AppendTimeout(digits[:0], call.d)
	n := len(b)
	b = headers.AppendTimeout(b, attempt.d)
	m := len(b)
	first := !ownAttempt && ctx.number == 1 && r.comesBack()
	if first {
		b = append(b, "1;max="...)
		b = strconv.AppendInt(b, int64(p.MaxAttempts), 10)
		b = append(b, `;id="`...)
		b = strconv.AppendUint(b, r.callID(), 36)
		b = append(b, '"')
	}
	text := string(b)
	values := []string{text[:n], text[n:m], text[m:]}
	if saysCall {
		req.Header[headers.RequestTimeoutMs] = values[:1:1]
	}
	if saysAttempt {
		req.Header[headers.RequestAttemptTimeoutMs] = values[1:2:2]
	}
	if first {
		req.Header[headers.RetryAttempt] = values[2:]
	}
	return req
}

// comesBack reports whether the call may be sent again by this chain.
func (r *round) comesBack() bool {
	return r.call.policy.MaxAttempts > 1 && inboundStop(r.req.Context()) == "" && !r.repeatedAbove()
}

// withHeader returns a copy of req whose header may be written.
func withHeader(req *http.Request) *http.Request {
	req = req.WithContext(req.Context())
	req.Header = req.Header.Clone()
	return req
}

// callID returns an ID that the attempts of one call share, of which two may be sent at a
// time. It need not be hard to guess, because it is not a secret.
func (r *round) callID() uint64 {
	if r.id.Load() == 0 {
		r.id.CompareAndSwap(0, rand.Uint64())
	}
	return r.id.Load()
}
