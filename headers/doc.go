// Package headers parses and formats the headers that an evenkeel client and an
// evenkeel server exchange: when to come back, whether to come back at all, which
// attempt a request is, how long its response is of use, how long it waited for room,
// and which writes are the same write. It also reads what Envoy, gRPC, Connect, Stripe
// and the AWS, Azure, Google and Stainless SDKs send for the same purposes.
//
// # What a client sends
//
//	Retry-Attempt: 2;max=3;id="k3v9"   this is the second of at most three attempts
//	Request-Timeout-Ms: 1500           what is left of the caller's deadline
//	Request-Attempt-Timeout-Ms: 400    how long this attempt waits for its response header
//	Idempotency-Key: "8e03978e"        the same on all attempts of a call
//
// The two timeouts differ. When the first has passed, nobody waits for the response
// and the server may stop working on it. When the second has passed, the client may
// send another attempt. A server should not queue a request for longer than that,
// but it must not cut a response that has begun. See [TimeoutOf] and
// [AttemptTimeoutOf].
//
// # What a server answers when it sheds
//
//	Retry-After: 2                     whole seconds, rounded up (RFC 9110 section 10.2.3)
//	Retry-After-Ms: 1250               the same, exactly
//	X-Should-Retry: true               the request was not begun: a POST may be sent again
//
// [Hinted] reports whether a response has such a hint, in any dialect.
//
// # What a server answers after a wait
//
//	Request-Queued-Ms: 40              how long the request waited for room before the handler got it
//
// A client learns by it that the server is over capacity: latency alone cannot tell a
// queue from slow work. It is about the nearest server. A server that queues replaces
// or removes what a handler such as a proxy passed on. See [QueuedOf].
//
// # Reading
//
// A malformed value counts as absent. A number that is too large saturates. If a
// time is given more than once, in several lines or in a list, the cautious one
// counts: the longest wait, the shortest timeout. Any other value that is given
// more than once is ignored if the values differ. So a header can lower the
// priority of its sender or shorten its time, and never the opposite.
//
// At most 8 KiB of a header are read, and reading allocates nothing.
//
// Structured fields are read as RFC 9651 says. RateLimit is read as in draft 7 of
// its specification and later, and RateLimit-Remaining and RateLimit-Reset as in
// earlier drafts.
package headers
