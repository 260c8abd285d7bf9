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

// answerOf judges what came back, by the caller's CheckRetry if there is one.
func answerOf(ctx context.Context, check retryablehttp.CheckRetry, p *Policy, req *http.Request, resp *http.Response, err error, verdict headers.Verdict) answer {
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
		return answerRetryable
	case resp != nil && resp.StatusCode < 400:
		return answerSuccess
	}
	return answerFinal
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
		if !asksToWait(resp.Header) {
			return false
		}
	case http.StatusForbidden:
	default:
		return false
	}
	_, hinted := headers.Delay(resp.Header, time.Now())
	return hinted
}

// asksToWait reports whether a header speaks of waiting, and not of a quota only.
func asksToWait(h http.Header) bool {
	for _, name := range [...]string{headers.RetryAfter, headers.RetryAfterMs, headers.XMsRetryAfterMs, headers.XAmzRetryAfter, headers.GrpcRetryPushbackMs} {
		if len(h[name]) > 0 {
			return true
		}
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
func (r *run) safe() bool {
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
