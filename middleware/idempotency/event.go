package idempotency

import (
	"context"
	"time"
)

// An Outcome is what became of a request with a key, in one word. The list is closed.
// The same words are the metric label, the attribute of the span and the log field.
type Outcome string

// The handler ran.
const (
	OutcomeFirst       Outcome = "first"       // its answer is kept
	OutcomeResumed     Outcome = "resumed"     // its answer is kept, after an earlier run had left none
	OutcomeReleased    Outcome = "released"    // it did nothing, by its status: the key is free again
	OutcomeUnkept      Outcome = "unkept"      // its answer was a stream or too large; that it was given is kept
	OutcomeInterrupted Outcome = "interrupted" // it panicked, or failed after its client had left: nobody knows what it did
	OutcomeUnstored    Outcome = "unstored"    // the store took no answer; it was sent all the same
	OutcomeLost        Outcome = "lost"        // another run had the key by the end; the answer was sent all the same
	OutcomeUnguarded   Outcome = "unguarded"   // without a record, by FailOpen
)

// The handler did not run, or its transaction was rolled back.
const (
	OutcomeReplayed         Outcome = "replayed"          // an earlier answer was sent
	OutcomeInProgress       Outcome = "in_progress"       // another request with the key is running
	OutcomeKeyReused        Outcome = "key_reused"        // the key belongs to another request
	OutcomeUnknown          Outcome = "outcome_unknown"   // an earlier run left no answer
	OutcomeNotKept          Outcome = "answer_not_kept"   // the earlier answer was not kept
	OutcomeKeyMissing       Outcome = "key_missing"       // there is no key, and one is required
	OutcomeKeyInvalid       Outcome = "key_invalid"       // what was sent is no key
	OutcomeNoCaller         Outcome = "no_caller"         // the scope says that nobody is known to have sent it
	OutcomeBodyTooLarge     Outcome = "body_too_large"    // the body is longer than MaxBody
	OutcomeBodyUnreadable   Outcome = "body_unreadable"   // the body ended early
	OutcomeStoreUnavailable Outcome = "store_unavailable" // the store did not answer, or with nonsense
	OutcomeBusy             Outcome = "busy"              // the transaction was rolled back by the store
	OutcomeCancelled        Outcome = "cancelled"         // the client left, or its deadline passed, before the handler was called
)

// Outcomes returns all outcomes, in the order of their declaration.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeFirst, OutcomeResumed, OutcomeReleased, OutcomeUnkept, OutcomeInterrupted, OutcomeUnstored,
		OutcomeLost, OutcomeUnguarded, OutcomeReplayed, OutcomeInProgress, OutcomeKeyReused, OutcomeUnknown,
		OutcomeNotKept, OutcomeKeyMissing, OutcomeKeyInvalid, OutcomeNoCaller, OutcomeBodyTooLarge,
		OutcomeBodyUnreadable, OutcomeStoreUnavailable, OutcomeBusy, OutcomeCancelled,
	}
}

// An Observer is a set of hooks. Nil fields are skipped.
type Observer struct {
	// OnKey is called exactly once for each POST or PATCH that has a key, or has none
	// and needs one, after it was answered or its handler panicked, on the same
	// goroutine and outside locks.
	OnKey func(context.Context, Event)
}

// An Event describes a request that is over.
type Event struct {
	Outcome Outcome
	Method  string
	// Record is the key of the record, which tells neither the key nor the caller; "" if
	// the request did not get so far. There are as many as there are requests, so it is
	// no label of a metric.
	Record string
	Runs   int           // of the key, with this one; 0 if the handler was not called
	Waited time.Duration // for another request with the key
	Took   time.Duration // from the arrival of the request
	Err    error         // of the store; nil if it did what was asked
}

// observe tells the observers.
func (x *exchange) observe() {
	if len(x.observers) == 0 {
		return
	}
	x.event.Method = x.request.Method
	x.event.Took = time.Since(x.started)
	for _, o := range x.observers {
		if o.OnKey != nil {
			o.OnKey(x.request.Context(), x.event)
		}
	}
}
