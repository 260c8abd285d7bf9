package idempotency

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A runContext is the handler's: it ends with the request's, and when the key is
// lost.
type runContext struct {
	context.Context
	info Info
	tx   context.Context // of the store's transaction, for its values; nil without a transaction
}

// Value implements [context.Context]. The request's values come first, because a
// child finds by one of them how it is cancelled.
func (c *runContext) Value(key any) any {
	if _, ok := key.(infoKey); ok {
		return &c.info
	}
	if v := c.Context.Value(key); v != nil || c.tx == nil {
		return v
	}
	return c.tx.Value(key)
}

// A fate is what becomes of the key when the handler has returned.
type fate int8

const (
	keep    fate = iota // the answer, for the next request
	free                // nothing has happened; a transaction is rolled back
	abandon             // nobody knows what has happened
)

// interruptedFrom is the lowest status that says nothing about the work if the
// client has left or the deadline has passed. 499 is what many handlers answer then.
const interruptedFrom = 499

// fateOf decides. wrote says whether the handler has answered at all, and over that the
// request's context is done.
func (c *config) fateOf(status int, h http.Header, wrote, over, tx bool) fate {
	switch {
	case over && (!wrote || status >= interruptedFrom):
		if tx {
			return free
		}
		return abandon
	case c.releaseOn(status), invites(status, h), tx && status >= 500:
		return free
	}
	return keep
}

// invites reports whether a failure asks the client to send the request again. It would
// get the same failure again if that were kept.
func invites(status int, h http.Header) bool {
	if status >= 400 && headers.VerdictOf(h) != headers.NoVerdict {
		return headers.VerdictOf(h) == headers.Retry
	}
	return status == http.StatusServiceUnavailable && headers.Hinted(h, time.Now())
}

// start makes the handler's context and begins to renew the lease. The func that it
// returns ends both, once or more.
func (x *exchange) start(found Found) (*runContext, func()) {
	x.event.Runs = found.Runs
	ctx, cancel := context.WithCancelCause(x.request.Context())
	renewal := x.renew(cancel)
	c := &runContext{Context: ctx, info: Info{Key: x.key, Runs: found.Runs, Applied: found.Applied, Hold: x.claim.Hold}}
	return c, func() {
		renewal.stop()
		cancel(nil)
	}
}

// run calls the handler outside of a transaction. The answer is stored before the
// client gets it: a success that nobody has recorded must not be seen.
func (x *exchange) run(found Found) {
	c, stop := x.start(found)
	x.event.Outcome = OutcomeInterrupted // until it is known better
	returned := false
	defer func() {
		stop()
		if !returned { // it panicked, and goes on doing so
			x.abandon()
		}
	}()
	rec := newRecorder(x.writer, x.maxAnswer)
	x.next.ServeHTTP(rec.shape(), x.request.WithContext(c))
	returned = true
	stop()
	switch x.fateOf(rec.status(), rec.header(), rec.wrote(), x.request.Context().Err() != nil, false) {
	case free:
		x.release()
		x.event.Outcome = OutcomeReleased
	case abandon:
		x.abandon()
	default:
		if !x.record(rec) {
			return
		}
	}
	rec.send()
}

// record stores the answer of a run outside of a transaction, and reports whether it
// is to be sent.
func (x *exchange) record(rec *recorder) bool {
	x.took(time.Since(x.started))
	a := rec.answer(x.kept, x.maxAnswer)
	err := x.finish(a)
	var other Found
	if errors.Is(err, ErrLost) {
		// Another run has had the key. If it left an answer, that is the one; if it
		// left the key, this answer may still be stored.
		var beginErr error
		if other, beginErr = x.begin(); beginErr == nil && other.State == Started {
			err = x.finish(a)
		}
	}
	switch {
	case err == nil:
		x.ran(a)
		rec.final()
		return true
	case other.State == Done && !rec.streaming:
		x.event.Err = err
		rec.discard()
		x.replay(other.Answer)
		return false
	case other.State == Busy && !rec.streaming && a.Status >= interruptedFrom:
		x.event.Err = err
		rec.discard()
		x.busy(other.Left)
		return false
	}
	x.event.Err, x.event.Outcome = err, OutcomeUnstored
	if errors.Is(err, ErrLost) {
		x.event.Outcome = OutcomeLost
	}
	return true
}

// ran names the outcome of a run whose answer is stored.
func (x *exchange) ran(a Answer) {
	switch {
	case a.Tombstone:
		x.event.Outcome = OutcomeUnkept
	case x.event.Runs > 1:
		x.event.Outcome = OutcomeResumed
	default:
		x.event.Outcome = OutcomeFirst
	}
}

// runInTx calls the handler in a transaction of the store. The client gets the answer
// after the commit.
func (x *exchange) runInTx(found Found) {
	c, stop := x.start(found)
	x.event.Outcome = OutcomeInterrupted // until it is known better
	rec := newRecorder(x.writer, unbounded)
	called, returned := false, false
	decided := free
	defer func() {
		stop()
		if !returned { // it panicked, and goes on doing so; the transaction is rolled back
			x.release()
		}
	}()
	var a Answer
	// The commit must not be cut off because the client leaves. The handler is told of
	// that by its own context.
	err := x.tx.InTx(context.WithoutCancel(x.request.Context()), x.claim.Hold, func(ctx context.Context) (Answer, bool) {
		called = true
		c.tx = ctx
		x.next.ServeHTTP(rec, x.request.WithContext(c))
		stop()
		decided = x.fateOf(rec.status(), rec.header(), rec.wrote(), x.request.Context().Err() != nil, true)
		a = rec.answer(x.kept, x.maxAnswer)
		return a, decided == keep
	})
	returned = true
	stop()
	switch {
	case !called:
		x.release()
		x.event.Err = err
		x.refuse(OutcomeStoreUnavailable)
	case decided == free:
		x.release()
		x.event.Outcome = OutcomeReleased
		rec.send()
	case err == nil:
		x.took(time.Since(x.started))
		x.ran(a)
		rec.final()
		rec.send()
	default:
		rec.discard()
		x.settle(err)
	}
}

// settle answers after a transaction that was not committed, or perhaps was:
// the store does.
func (x *exchange) settle(err error) {
	x.event.Err = err
	found, beginErr := x.begin()
	switch {
	case beginErr != nil:
		x.refuse(OutcomeStoreUnavailable)
	case found.State == Started:
		x.release()
		x.refuse(OutcomeBusy)
	default:
		x.decline(found)
	}
}
