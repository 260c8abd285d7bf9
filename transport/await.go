package transport

import (
	"context"
	"io"
	"net/http"
	"time"
)

// What happens between two attempts: paying, waiting, and giving up the answer
// in hand.

// prepare readies another attempt and returns its body. A response that no
// attempt replaces is left as it came, and so is the body that it answers: the
// base may still be sending it. GetBody is asked last, when the base has had the
// whole wait to finish with the body before; should it fail, the response is
// the one that was set aside.
func (r *run) prepare(resp *http.Response, err error, wait time.Duration) (body io.ReadCloser, stop StopReason) {
	stop = r.await(r.req.Context(), wait, func() StopReason {
		if r.stream != nil {
			// What was replayable before the wait may have streamed on since.
			next, ok := r.stream.next()
			if !ok {
				return StopBody
			}
			body = next
		}
		r.replace(resp, err)
		return ""
	})
	if isGuard(err) {
		r.heldFor += wait
	}
	switch {
	case stop != "" && body != nil:
		body.Close()
		return nil, stop
	case stop == "" && r.lender != nil:
		return r.lent()
	}
	return body, stop
}

// lent returns the body of another attempt, once the one before has let go of
// its own. A body that the base goes on reading past the longest backoff cannot
// be had.
func (r *run) lent() (io.ReadCloser, StopReason) {
	ctx := r.req.Context()
	if r.lender.recall(ctx, r.call.policy.MaxDelay) {
		if body, ok := r.lender.next(); ok {
			return body, ""
		}
	} else if stop := endedBy(ctx); stop != "" {
		r.interrupted = true
		return nil, stop
	}
	return nil, StopBody
}

// await pays for another attempt and waits. It calls paid, which may still
// find a reason to stop, once the attempt is certain but for that and the
// caller's context.
func (r *run) await(ctx context.Context, wait time.Duration, paid func() StopReason) StopReason {
	granted := r.pay()
	// A refusal is asked again after the wait, in which credit may come: a
	// fleet's budget fetches some when it refuses. Until then the response at
	// hand is the likely answer and stays open, so not for long.
	if !granted && wait > r.call.policy.MaxDelay {
		return StopBudget
	}
	if granted {
		if stop := paid(); stop != "" {
			return stop
		}
	}
	r.call.header.Store(0)
	if !sleep(ctx, wait) {
		r.interrupted = true
		return endedBy(ctx)
	}
	r.lastWait = wait
	r.waited += wait
	if !granted {
		if !r.pay() {
			return StopBudget
		}
		return paid()
	}
	return ""
}

func (r *run) pay() bool { return r.credit.pay(int(r.sent.Load()) + 1) }

// replace gives up the answer in hand for another attempt.
func (r *run) replace(resp *http.Response, err error) {
	r.afterStatus, r.afterErr = 0, err
	switch {
	case resp != nil:
		r.afterStatus = resp.StatusCode
		r.kept = setAside(resp, r.newest.cancel)
	case err != nil:
		if _, refused := refusedBy(err); !refused {
			r.kept = nil
		}
	}
}
