// Package transport is the client chain: an [http.RoundTripper] that sends a
// request again when that is safe, useful and paid for, and not otherwise.
//
//	rt, err := transport.New(nil)
//	client := &http.Client{Transport: rt}
//
// # The chain
//
// From the outside in, as a request passes it:
//
//	http.Client
//	  └ Transport               once per call: service name, policy, Observer.OnCall, idempotency key
//	      └ call layers         WithCallLayer: what must see each call once
//	          └ retry loop      policy · hints from the server · budget · deadline
//	              └ hedging     a second copy after a delay, the first good answer wins
//	                  └ guard           holds calls back once overload is proved
//	                      └ breaker         judges every attempt, refuses without sending
//	                          └ attempt     timeout, Retry-Attempt and Request-Timeout-Ms headers, Observer.OnAttempt
//	                              └ attempt layers   WithAttemptLayer: signing, tracing
//	                                  └ base         http.DefaultTransport
//
// A call is what the caller asked for, an attempt is one request on the wire. A
// call makes one attempt or more; one that a breaker refused made none.
//
// # When a request is sent again
//
// After each attempt these are asked in this order. The first that applies ends
// the call and is its [StopReason]:
//
//  1. The answer is a success, or final by [Policy] and [WithCheckRetry]:
//     succeeded, not_retryable.
//  2. The server said no, by X-Should-Retry: false, Stripe-Should-Retry: false
//     or a negative Grpc-Retry-Pushback-Ms: server_said_no.
//  3. The caller's context is done, or MaxAttempts is reached: cancelled,
//     deadline, attempts, or disabled if MaxAttempts is 1.
//  4. It is not safe: methods other than GET, HEAD, OPTIONS, TRACE, PUT and
//     DELETE are repeated only with an Idempotency-Key or X-Idempotency-Key, or
//     if the request certainly never reached the handler (no connection, an
//     HTTP/2 REFUSED_STREAM, X-Should-Retry: true): method.
//  5. The body cannot be replayed: body.
//  6. The wait, which is what the server asks for plus some jitter, or else the
//     backoff, is longer than MaxRetryAfter or than the time that is left:
//     retry_after, deadline.
//  7. The circuit is open and does not close within the wait, or the guard
//     held the call back, MaxAttempts times or for longer than MaxDelay:
//     breaker_open, guard.
//  8. The budget refuses, before the wait and once more after it: budget.
//
// [CallOf] tells it of a response, [Error] of an error, [Observer] of both.
//
// # What the caller gets
//
// The last real response, whatever its status, with its body unread; an
// [*Error] around the last error if there was no response. A status is never
// turned into an error, so that code written for a bare transport goes on
// working. The caller's request is never changed and its body is closed on
// every path. GetBody replays the body where there is one; another body is kept
// while it streams, up to MaxReplayBytes, and nothing is read ahead.
//
// # What it does not do
//
// It does not follow redirects, keep cookies or bound the whole call: that is
// for http.Client and the context. It does not retry a body that breaks off
// after the response header, since the caller may have seen part of it. It does
// not see what net/http sends again on its own when a kept connection turns out
// to be closed, nor what a proxy repeats. It logs and measures nothing unless
// told to: see [Log] and [WithObserver].
//
// # Placement
//
// One Transport serves a program: its budget and its breaker must outlive the
// call to bound anything. Layers that must see every attempt, such as signing,
// are attempt layers. Put nothing that retries above or below it, or attempts
// multiply.
package transport
