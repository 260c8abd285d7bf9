// Package headers is the vocabulary that an evenkeel client and an evenkeel
// server share on the wire: when to come back, whether to come back at all,
// which attempt a request is, how long its answer is of use, and under which
// key a write is the same write. It reads what Envoy, gRPC, Connect, the AWS,
// Azure, Google and Stainless SDKs and Stripe say of the same things, so that
// both ends understand peers that do not know evenkeel.
//
// # What a client sends
//
//	Retry-Attempt: 2;max=3;id="k3v9"   this is the second of at most three attempts
//	Request-Timeout-Ms: 1500           what is left of the caller's deadline
//	Request-Attempt-Timeout-Ms: 400    how long this attempt waits for its response header
//	Idempotency-Key: "8e03978e"        the same on all attempts of a call
//
// The two times are different facts. After the first nobody is there any more, so
// that the work for it may end. The second only says that another attempt may
// come, or that the client turns to somebody else: it bounds a wait for room, and
// never a response that has begun. See [TimeoutOf] and [AttemptTimeoutOf].
//
// # What a server answers when it sheds
//
//	Retry-After: 2                     whole seconds, rounded up (RFC 9110 section 10.2.3)
//	Retry-After-Ms: 1250               the same, exactly
//	X-Should-Retry: true               not even begun: a POST may be sent again
//
// [Hinted] tells such an answer, in any dialect, from one that says nothing.
//
// # Reading
//
// The parsers never fail loudly. What is malformed is as good as absent, and a
// number that is too large saturates. Of a time given twice, in lines or in a
// list, the cautious one counts: the longer wait, the shorter deadline. Anything
// else that is given twice and differs is ignored. At most 8 KiB of a header are
// read, and nothing is allocated for it. A header can therefore only ever lower
// the rank of its sender or shorten its time, never raise or lengthen it.
//
// Structured fields are read as RFC 9651 has them. RateLimit is read in the forms
// of the drafts from 7 on, and those before it by RateLimit-Remaining and
// RateLimit-Reset.
package headers
