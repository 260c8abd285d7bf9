package transport

import (
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// facts are what is known after an attempt; decide reads nothing else.
type facts struct {
	answer  answer
	failed  bool       // there is an error instead of a response
	refused StopReason // breaker_open or guard if a layer refused to send, else ""
	verdict headers.Verdict
	ended   StopReason // cancelled or deadline if the caller's context is done, else ""
	hop     StopReason // why retries are left to other hops of a chain, else ""

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

// answer is what policy and CheckRetry make of a response or an error.
type answer int8

const (
	answerSuccess answer = iota
	answerFinal
	answerRetryable
)

// open reports whether another attempt may come to a wait at all. Only then is
// a Backoff asked for one, which may keep state or cost something.
func (f *facts) open() bool { return f.answer == answerRetryable && f.attempt < f.max }

// decide returns why there is no further attempt, or "" if there should be
// one and the budget allows it. The first rule that applies gives the reason;
// the order is part of the contract.
func decide(f facts) StopReason {
	switch {
	case f.answer == answerSuccess:
		return StopSucceeded
	case f.answer == answerFinal && f.failed && f.ended != "":
		// An error that the caller's own context made is final because of it.
		return f.ended
	case f.answer == answerFinal:
		return StopNotRetryable
	case f.verdict == headers.DoNotRetry:
		return StopServerSaidNo
	case f.ended != "":
		return f.ended
	case f.refused != "" && (f.attempt >= f.max || f.hop != ""):
		// Nothing was sent, so it is neither the number that stopped the call
		// nor who else retries.
		return f.refused
	case f.max == 1:
		return StopDisabled
	case f.hop != "":
		return f.hop
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
