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

// facts are all that decide reads.
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

// class is what policy and CheckRetry say of a response or an error.
type class int8

const (
	classSuccess class = iota
	classFinal
	classRetryable
)

// open reports whether there may be a wait. Only then is a Backoff called, which may have
// state or be slow.
func (f *facts) open() bool { return f.class == classRetryable && f.attempt < f.max }

// decide returns why there is no other attempt, or "" if there should be one and the
// budget allows it. The first rule that applies gives the reason. The order is part of the
// contract.
func decide(f facts) StopReason {
	switch {
	case f.class == classSuccess:
		return StopSucceeded
	case f.class == classFinal && f.failed && f.ended != "":
		// The caller's context caused the error.
		return f.ended
	case f.class == classFinal:
		return StopNotRetryable
	case f.verdict == headers.DoNotRetry:
		return StopServerSaidNo
	case f.ended != "":
		return f.ended
	case f.refused != "" && (f.attempt >= f.max || f.inbound != ""):
		// Nothing was sent, so neither the number of attempts nor another retrier
		// is the reason.
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

// classify judges a response or an error, by the caller's CheckRetry if there is one.
func classify(ctx context.Context, check retryablehttp.CheckRetry, p *Policy, req *http.Request, resp *http.Response, err error, verdict headers.Verdict) class {
	var again bool
	switch {
	case isMarkedPermanent(err):
		// The layer that marked it knows more than a general policy.
	case check != nil:
		if err != nil {
			err = &url.Error{Op: "RoundTrip", URL: req.URL.Redacted(), Err: err}
		}
		// Its error only explains the answer: ErrorPropagatedRetryPolicy returns one
		// together with true.
		again, _ = check(ctx, resp, err)
	case err != nil:
		again = retryableError(ctx, err)
	default:
		// X-Should-Retry: true makes an error retryable, never a success.
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

// isThrottle reports whether a response refuses the request for now only. A 429 does. So
// do, if they say when to come back, a 413 (RFC 9110 section 15.5.14), a 409 or 423 while
// another operation is in progress, and a 403, which GitHub and others send when a quota is
// used up; for a 403 the reset of the quota is enough. Other statuses of 400 and above are
// about the request itself, and a 404 or 401 may also carry the state of a quota.
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

// retryableError asks go-retryablehttp's policy about an error, except for errors that it
// takes for temporary although they occur every time.
func retryableError(ctx context.Context, err error) bool {
	if errors.Is(err, context.Canceled) || isPermanent(err) {
		return false
	}
	// The policy recognises permanent errors only within a *url.Error. The URL stays
	// empty, because the policy searches the text, which a URL could imitate.
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
	// net/http has no types for these. They are about the request or its caller.
	text := err.Error()
	return strings.Contains(text, "http: no Host in request URL") ||
		strings.Contains(text, "net/http: invalid ") ||
		strings.Contains(text, "net/http: request canceled") || // by Request.Cancel
		strings.Contains(text, "http: nil Request.")
}

// isSafe reports whether the request may be sent twice, by its method (RFC 9110 section
// 9.2.2) or by an idempotency key. A key without values counts, as in net/http, where it
// marks a request as safe and is not sent.
func isSafe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header[headers.IdempotencyKey]
	_, xkey := req.Header[headers.XIdempotencyKey]
	return key || xkey
}

// safe is isSafe, or the answer of WithRepeatable, which is asked once.
func (r *round) safe() bool {
	if isSafe(r.req) || r.loop.dryRun && r.loop.transport.keys && takesKey(r.req) {
		return true // a dry run does not send its key
	}
	if !r.asked && r.loop.may != nil {
		r.repeatable, r.asked = r.loop.may(r.req), true
	}
	return r.repeatable
}

// withIdempotencyKey adds a fresh key to a POST or PATCH that has none. It is called once
// per call, so that all attempts carry the same key
// (draft-ietf-httpapi-idempotency-key-header).
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
		fallthrough // the timer of the context is late
	case context.DeadlineExceeded:
		return StopDeadline
	}
	return StopCancelled
}
