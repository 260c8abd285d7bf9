package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/hashicorp/go-retryablehttp"
)

// facts are what is known after an attempt; decide reads nothing else.
type facts struct {
	class   class
	failed  bool       // there is an error instead of a response
	refused StopReason // breaker_open or guard if a layer refused to send, else ""
	verdict headers.Verdict
	ended   StopReason // cancelled or deadline if the caller's context is done, else ""
	inbound StopReason // why retries are left to the client or server next in a chain of services, else ""

	attempt, max int
	safe         bool // the method or a key makes it safe to send twice
	unsent       bool // the handler certainly never saw the request
	replayable   bool

	hint     time.Duration // what the server asks for, 0 if it does not
	maxHint  time.Duration
	wait     time.Duration // hint or backoff, with jitter
	openFor  time.Duration // how long the breaker will refuse
	deadline bool
	left     time.Duration // until the deadline, if there is one
}

// class is what policy and CheckRetry make of a response or an error.
type class int8

const (
	classSuccess class = iota
	classFinal
	classRetryable
)

// open reports whether another attempt may come to a wait at all. Only then is
// a Backoff asked for one, which may keep state or cost something.
func (f *facts) open() bool { return f.class == classRetryable && f.attempt < f.max }

// decide returns why there is no further attempt, or "" if there should be
// one and the budget allows it. The first rule that applies gives the reason;
// the order is part of the contract.
func decide(f facts) StopReason {
	switch {
	case f.class == classSuccess:
		return StopSucceeded
	case f.class == classFinal && f.failed && f.ended != "":
		// An error that the caller's own context made is final because of it.
		return f.ended
	case f.class == classFinal:
		return StopNotRetryable
	case f.verdict == headers.DoNotRetry:
		return StopServerSaidNo
	case f.ended != "":
		return f.ended
	case f.refused != "" && (f.attempt >= f.max || f.inbound != ""):
		// Nothing was sent, so it is neither the number that stopped the call
		// nor who else retries.
		return f.refused
	case f.max == 1:
		return StopDisabled
	case f.inbound != "":
		return f.inbound
	case f.attempt >= f.max:
		return StopAttempts
	case !f.safe && !f.unsent:
		return StopMethod
	case !f.replayable:
		return StopBody
	case f.hint > f.maxHint:
		return StopRetryAfter
	case f.deadline && f.wait >= f.left:
		return StopDeadline
	case f.refused != "" && f.openFor > f.wait:
		return f.refused
	case f.openFor > f.wait:
		return StopBreakerOpen
	}
	return ""
}

// classify judges what came back, by the caller's CheckRetry if there is one.
func classify(ctx context.Context, check retryablehttp.CheckRetry, p *Policy, req *http.Request, resp *http.Response, err error, verdict headers.Verdict) class {
	var again bool
	switch {
	case isMarkedPermanent(err):
		// The layer that marked it knows more than a policy for all errors.
	case check != nil:
		if err != nil {
			err = &url.Error{Op: "RoundTrip", URL: req.URL.Redacted(), Err: err}
		}
		// The error only says why: ErrorPropagatedRetryPolicy gives one with
		// its "true", and go-retryablehttp goes by that.
		again, _ = check(ctx, resp, err)
	case err != nil:
		again = retryableError(ctx, err)
	default:
		// "true" overrides the status of an error, never a success.
		again = resp.StatusCode >= 400 && verdict == headers.Retry || slices.Contains(p.Statuses, resp.StatusCode) ||
			isThrottle(resp) && slices.Contains(p.Statuses, http.StatusTooManyRequests)
	}
	switch {
	case again:
		return classRetryable
	case resp != nil && resp.StatusCode < 400:
		return classSuccess
	}
	return classFinal
}

// isThrottle reports whether a response refuses a request for now only, whatever
// the request is like. A 429 does. A few more do if they say when to come back: a
// 413 by RFC 9110 section 15.5.14, 409 and 423 where another operation is in the
// way, and 403, by which GitHub and others answer beyond a quota, also if it says
// only that nothing is left of one and until when. Other statuses of 400 and above
// are about the request, which does not change by waiting; a 404 or 401 may well
// come with the state of a quota.
func isThrottle(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusLocked:
		_, hinted := headers.WaitOf(resp.Header, time.Now())
		return hinted
	case http.StatusForbidden:
		_, hinted := headers.RetryAfterOf(resp.Header, time.Now())
		return hinted
	}
	return false
}

// retryableError hands an error to go-retryablehttp's policy, after the gates
// for errors that it takes for passing although they come back every time.
func retryableError(ctx context.Context, err error) bool {
	if errors.Is(err, context.Canceled) || isPermanent(err) {
		return false
	}
	// The policy knows its permanent errors only inside a *url.Error. Its URL
	// stays empty since the policy searches the text, in which a URL could
	// pose as a reason.
	again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, &url.Error{Op: "RoundTrip", Err: err})
	return again
}

func isPermanent(err error) bool {
	var (
		dns       *net.DNSError
		cert      *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
		address   *net.AddrError
	)
	switch {
	case errors.As(err, &dns):
		return dns.IsNotFound
	case errors.As(err, &cert), errors.As(err, &authority), errors.As(err, &hostname):
		return true
	case errors.As(err, &record), errors.As(err, &address), errors.Is(err, http.ErrSchemeMismatch):
		return true
	}
	// net/http has no names for these: they are about the request itself, or
	// its caller.
	text := err.Error()
	return strings.Contains(text, "http: no Host in request URL") ||
		strings.Contains(text, "net/http: invalid ") ||
		strings.Contains(text, "net/http: request canceled") || // by Request.Cancel
		strings.Contains(text, "http: nil Request.")
}

// isSafe reports whether the request may be sent twice: by its method
// (RFC 9110 section 9.2.2), or since an idempotency key lets the server tell.
// The key counts by presence, as in net/http, where an empty list marks a
// request as safe without sending a key.
func isSafe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header[headers.IdempotencyKey]
	_, xkey := req.Header[headers.XIdempotencyKey]
	return key || xkey
}

// safe is isSafe, or what the func of WithRepeatable says, which is asked once.
func (r *round) safe() bool {
	if isSafe(r.req) || r.loop.dryRun && r.loop.transport.keys && takesKey(r.req) {
		return true // with a key that a dry run does not send
	}
	if !r.asked && r.loop.may != nil {
		r.repeatable, r.asked = r.loop.may(r.req), true
	}
	return r.repeatable
}

// withIdempotencyKey returns req with a fresh key if it is a POST or PATCH
// that has none. It is made once per call, above the loop, so that all
// attempts carry the same (draft-ietf-httpapi-idempotency-key-header).
func withIdempotencyKey(req *http.Request) *http.Request {
	if !takesKey(req) || isSafe(req) {
		return req
	}
	req = withHeader(req)
	req.Header[headers.IdempotencyKey] = []string{headers.FormatIdempotencyKey(rand.Text())}
	return req
}

func takesKey(req *http.Request) bool {
	return req.Method == http.MethodPost || req.Method == http.MethodPatch
}

// endedBy returns the StopReason of a context that is done, else "".
func endedBy(ctx context.Context) StopReason {
	switch ctx.Err() {
	case nil:
		if !isPast(ctx) {
			return ""
		}
		fallthrough // the context does not know it yet
	case context.DeadlineExceeded:
		return StopDeadline
	}
	return StopCancelled
}
