package transport

import (
	"context"
	"maps"
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// inboundStop returns why a call for an inbound request is not retried, or "" if it may
// be. Retries at several places in a chain of services multiply. So they are left to the
// client upstream if that is retrying, and omitted if a service downstream said that they
// do not help.
func inboundStop(ctx context.Context) StopReason {
	hop := headers.HopOf(ctx)
	switch {
	case hop.SaidNo():
		return StopServerSaidNo
	case hop.Retried():
		return StopDisabled
	}
	return ""
}

// isFirst reports whether a header announces the first of several attempts, as a chain
// does.
func isFirst(h http.Header) bool {
	a, _ := headers.AttemptOf(http.Header{headers.RetryAttempt: h[headers.RetryAttempt]})
	return a.N == 1 && a.Max > 1
}

// repeatedAbove reports whether the sender of the request retries it by itself: an SDK
// whose header says so, also through a proxy, or another chain further out. The first
// attempt of a chain whose request a proxy passes on is retried by the proxy, which is
// nearer to the failure; after that its client sends retries, and they are sent once.
func (r *round) repeatedAbove() bool {
	h := r.req.Header
	if _, own := h[headers.RetryAttempt]; own && isFirst(h) {
		h = maps.Clone(h)
		delete(h, headers.RetryAttempt)
	}
	if headers.SenderRetries(h) {
		return true
	}
	outer := attemptOf(r.req)
	return outer != nil && outer.round.call.policy.MaxAttempts > 1 && !outer.round.loop.dryRun
}

// isRetry reports whether the request says that it is a retry.
func (r *round) isRetry() bool {
	a, _ := headers.AttemptOf(r.req.Header)
	return a.N > 1
}

// passUp tells the client of the inbound request not to retry, if retries do not help:
// a service downstream said so, or all retries were made here. It says nothing if the
// attempts failed by chance, while the budget could pay for more: then retries do help.
func (r *round) passUp(resp *http.Response, stop StopReason) {
	if resp != nil && resp.StatusCode < 400 || r.loop.dryRun || r.before > 0 {
		return
	}
	switch stop {
	case StopAttempts:
		if r.charge.affords(int(r.sent.Load()) + 1) {
			return
		}
	case StopServerSaidNo, StopBudget:
	default:
		return
	}
	headers.HopOf(r.req.Context()).SayNo()
}
