package transport

import (
	"context"
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// inboundStop returns why a call that is made for an inbound request is not
// repeated, and "" if it may be. Retries at several hops of a chain multiply:
// where the client above is retrying, or a server below has said for this
// request that there is no point in it, they are left to the others.
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

// repeatedAbove reports whether what made the request repeats it by itself, so
// that retries here would multiply: an SDK that says so in the header, even if a
// proxy passes it on, or a chain further out of which the request is an attempt.
func (r *round) repeatedAbove() bool {
	if headers.SenderRetries(r.req.Header) {
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

// passUp notes in the hop of the inbound request that no retry helps against
// the failure of this call: the server below said so, or the retries that there
// are have been made here and another one above would multiply them. Attempts
// that were used up while the budget could pay for more are chance: retries do
// help, only not this time.
func (r *round) passUp(resp *http.Response, stop StopReason) {
	if resp != nil && resp.StatusCode < 400 || r.loop.dryRun {
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
