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

// mostWords is how many headers an attempt may get.
const mostWords = 3

// words are what an attempt says in its header: its number, the time left until the
// deadline, and how long it waits.
type words struct {
	call, attempt                 patience
	saysCall, saysAttempt, counts bool
}

func (w *words) any() bool { return w.saysCall || w.saysAttempt || w.counts }

// words returns what the attempt says. Times that the request carries are only lowered.
// Its own Retry-Attempt stays, unless that is the first attempt of a chain further out and
// this one is not. The first attempt has its number only beside a time: a header for the
// number alone would cost three allocations.
func (c *attemptCtx) words(req *http.Request) (w words) {
	r := c.round
	if r.loop.dryRun || req.Header == nil { // the base refuses it
		return w
	}
	w.call, w.attempt = times(req, r.call.policy.AttemptTimeout)
	if !w.call.known && !w.attempt.known && c.number == 1 && r.told == nil {
		return w
	}
	var before told
	if r.told != nil {
		before = *r.told
		before.lower(&w.call, &w.attempt)
	}
	_, own := req.Header[headers.RetryAttempt]
	w.saysCall = says(req.Header, headers.RequestTimeoutMs, w.call, before.call)
	w.saysAttempt = says(req.Header, headers.RequestAttemptTimeoutMs, w.attempt, before.attempt)
	if c.number == 1 {
		w.counts = (w.saysCall || w.saysAttempt) && !own && r.comesBack()
	} else {
		w.counts = !own || isFirst(req.Header)
	}
	return w
}

// write sets the header of req, which no other attempt has. The values are stored in
// values, and their texts in one string, because nearly every request has several.
func (w *words) write(req *http.Request, values *[mostWords]string, attempt *attemptCtx) {
	r := attempt.round
	switch {
	case attempt.own:
	case len(req.Header) == 0:
		req.Header = make(http.Header, mostWords)
	default:
		req.Header = req.Header.Clone()
	}
	var room [96]byte
	text := room[:0]
	var ends [mostWords]int
	if w.saysCall {
		text = headers.AppendTimeout(text, w.call.d)
	}
	ends[0] = len(text)
	if w.saysAttempt {
		text = headers.AppendTimeout(text, w.attempt.d)
	}
	ends[1] = len(text)
	if w.counts { // a headers.Attempt
		text = strconv.AppendInt(text, int64(attempt.number), 10)
		text = append(text, ";max="...)
		text = strconv.AppendInt(text, int64(max(r.call.policy.MaxAttempts, int(attempt.number))), 10)
		text = append(text, `;id="`...)
		text = strconv.AppendUint(text, r.callID(), 32) // a power of two needs no division
		text = append(text, '"')
	}
	all := string(text)
	*values = [mostWords]string{all[:ends[0]], all[ends[0]:ends[1]], all[ends[1]:]}
	if w.saysCall {
		req.Header[headers.RequestTimeoutMs] = values[0:1:1]
	}
	if w.saysAttempt {
		req.Header[headers.RequestAttemptTimeoutMs] = values[1:2:2]
	}
	if w.counts {
		req.Header[headers.RetryAttempt] = values[2:]
	}
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
