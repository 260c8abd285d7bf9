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
//	Request-Timeout-Ms: 1500           an answer is of no use after that
//	Idempotency-Key: "8e03978e"        the same on all attempts of a call
//
// # What a server answers when it sheds
//
//	Retry-After: 2                     whole seconds, rounded up (RFC 9110 section 10.2.3)
//	Retry-After-Ms: 1250               the same, exactly
//	X-Should-Retry: true               not even begun: a POST may be sent again
//
// # Reading
//
// The parsers never fail loudly: what is malformed is as good as absent, what
// is overlong saturates, and what is given twice and differs is ignored. None
// of them allocates. A header can therefore only ever lower the rank of its
// sender or shorten its time, never raise or lengthen it.
package headers
