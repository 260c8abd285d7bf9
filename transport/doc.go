// Package transport is the client side of evenkeel: an [http.RoundTripper] that
// retries a request when that is safe, likely to help and within budget.
//
//	rt, err := transport.New(nil)
//	client := &http.Client{Transport: rt}
//
// The README beside this package has the states of its parts, what happens where
// two of them meet, and a glossary.
//
// # The chain
//
// A request passes these layers from the top down:
//
//	http.Client
//	  └ Transport               once per call: service name, policy, Observer.OnCall, idempotency key
//	      └ call layers         WithCallLayer: what must see each call once
//	          └ retry loop      policy, hints of the server, budget, deadline, pauses
//	              └ hedging     a second copy after a delay; the first good response wins
//	                  └ guard           limits concurrency to an overloaded service
//	                      └ breaker         judges every attempt, refuses without sending
//	                          └ attempt     timeout, headers about attempt and times, Observer.OnAttempt
//	                              └ attempt layers   WithAttemptLayer: signing, tracing
//	                                  └ base         http.DefaultTransport
//
// A call is what the caller asked for. An attempt is one request on the wire. A
// call makes one or more attempts, or none if the guard or the breaker refused it.
//
// # When a request is sent again
//
// After each attempt these rules are applied in this order. The first that applies
// ends the call, and is its [StopReason]:
//
//  1. The response is a success, or [Policy] or [WithCheckRetry] make it final:
//     succeeded, not_retryable. An error that is context.Canceled is final,
//     because a layer has cancelled the request.
//  2. The server asked for no retry, by X-Should-Retry: false,
//     Stripe-Should-Retry: false or a negative Grpc-Retry-Pushback-Ms:
//     server_said_no.
//  3. The caller's context is done: cancelled, deadline. MaxAttempts is 1:
//     disabled. The call is made for an inbound request that is a retry, or for
//     which a service downstream asked for no retry: disabled, server_said_no. The
//     request's header says that its sender retries, or [Transport.Pause] stopped
//     retries: disabled. MaxAttempts attempts were made: attempts.
//  4. The request is not safe to repeat: method. Methods other than GET, HEAD,
//     OPTIONS, TRACE, PUT and DELETE are repeated only with an Idempotency-Key or
//     X-Idempotency-Key, if [WithRepeatable] allows it, or if the handler certainly
//     never saw the request: there was no connection, HTTP/2 answered
//     REFUSED_STREAM or a GOAWAY that excludes the stream, or the response has
//     X-Should-Retry: true.
//  5. The body cannot be sent again: body.
//  6. The wait is too long. It is what the server asks for plus some jitter, or
//     else the backoff. If it exceeds MaxRetryAfter: retry_after. If it reaches the
//     deadline: deadline. A pause that another call was told of, which ends too late
//     or has too many waiting: retry_after; see [WithPacing]. No place among the
//     attempts in flight until then: in_flight; see [WithInFlight].
//  7. A circuit is open for longer than the wait, or refused the call MaxAttempts
//     times: breaker_open. The call waited for the guard as long as it may, or has too
//     little time left for a response, or the processes of [WithFleet] see an
//     overload: guard.
//  8. The budget refused, before the wait and again after it: budget.
//
// [CallOf], [Error] and [Observer] report the reason.
//
// # What the caller gets
//
// The last response from the server, whatever its status, with its body unread. A
// status is never turned into an error, so code written for a plain transport keeps
// working.
//
// If there was no response, the caller gets an error. It is the base's own value if
// the call was sent once and the chain only passed it on. It is an [*Error] around
// the last one if the chain retried, waited, cut the attempt at AttemptTimeout or
// refused another.
//
// The caller's request is never changed. Its body is closed on every path, if layers of
// your own close it where they do not send. No goroutine outlives a call.
//
// # Request bodies
//
// A body with GetBody is sent again by calling it. A body without is kept while it
// streams, up to MaxReplayBytes. Nothing is read ahead.
//
// GetBody may return the same reader, put back to its start, as in go-retryablehttp,
// azcore, connect-go and with files. So it is called just before an attempt is sent,
// after the attempt before has released its body. That attempt may still be sending:
// a server may respond before it has read the upload, and net/http then continues to
// send. At the end of the wait that attempt can read no more, its body is closed
// unless the base has closed it, and a Read in progress is waited for up to MaxDelay.
// If the Read does not end, or GetBody fails, the call ends with the last response
// and the reason body. The body of that response then breaks off if it did not
// arrive whole within 64 KiB and 50 ms.
//
// GetBody must not block. As in net/http, no context limits it. All this applies
// also to a redirect that arrives early, after which http.Client calls GetBody, if
// the redirect declares a length of at most 64 KiB.
//
// Two attempts at the same time, as in hedging, never share a reader. See
// [WithHedging].
//
// # What the server is told
//
// Retry-Attempt has the number of the attempt, the most that there may be, and an ID of
// the call, such as 1;max=3;id="k3v9". A server can tell by it who may come back, and who
// does. The first attempt has it only if one of the two times below is known, and if this
// chain may retry it.
//
// Request-Timeout-Ms has the time left until the deadline of the caller's context: a
// server may end the work then, and the response with it. Request-Attempt-Timeout-Ms
// has [Policy].AttemptTimeout: how long this attempt waits for its response header. It
// limits no body. A request that asks for an upgrade carries only the latter, because
// the upgraded connection outlives the context.
//
// Times that the request already carries, set by hand or passed on by a reverse
// proxy, in any dialect, are only ever lowered: to what is known here, and by the
// time since the call began. A malformed value is replaced if a time is known, and
// passed on otherwise. An empty list of values keeps a header from being sent.
//
// # What it does not do
//
// It does not follow redirects, keep cookies or limit the whole call: use
// http.Client and the context. It does not retry after the response header, because
// the caller may have read part of the body; [WithResume] asks for the rest of it. It
// does not see what net/http sends again when a kept connection turns out to be
// closed, nor what a proxy repeats. It logs and measures nothing by itself: see [Log]
// and [WithObserver].
//
// [WithDryRun] sends every request once and reports what the chain would have done.
//
// # Placement
//
// Use one Transport per program. Its budget and its breaker must outlive a call to
// limit anything. If a library builds a transport for each client, put the same
// chain around each with [Transport.Wrap]. Layers that must see every attempt, such
// as signing, are attempt layers. A breaker goes into [WithBreaker]: around the chain it
// would count three failed attempts as one, and would not end the retries. Put nothing
// that retries above or below the chain: attempts multiply. A second chain is noticed,
// and only one of the two retries.
//
// # Below an SDK that retries
//
// Many SDKs retry by themselves, and three attempts of three attempts are nine. So a
// request is sent once, with the reason disabled, if its header says that its sender
// retries (see headers.SenderRetries):
//
//   - a retry of an SDK: Amz-Sdk-Request, X-Stainless-Retry-Count,
//     Grpc-Previous-Rpc-Attempts, gccl-attempt-count, Retry-Attempt
//   - a first attempt that announces more: an Amz-Sdk-Request with max=3,
//     Opc-Client-Retries: true
//   - a request that a proxy passes on with such a header, or with an
//     X-Envoy-Attempt-Count above 1
//   - an attempt of another chain further out that retries
//
// A first attempt that a chain in another process announces (Retry-Attempt: 1;max=3) is
// retried also by a proxy that passes it on, which is nearer to the failure. Its retries
// are sent once.
//
// A first attempt that announces nothing is retried here: the three attempts of an
// SDK that sends X-Stainless-Retry-Count become five. The attempts of an SDK that
// sends no header, as most do, multiply. It is best if only one of the two retries.
//
// To leave retries to the chain, turn those of the SDK off: aws.NopRetryer{},
// option.WithMaxRetries(0) of OpenAI and Anthropic,
// storage.WithPolicy(storage.RetryNever) of Google, MaxRetries -1 of azcore,
// MaxRetries 1 of minio, SetMaxRetries(0) of Vault, SetRetryCount(0) of resty. To
// leave them to the SDK, set MaxAttempts to 1. Guard and breaker work either way.
//
// # Dead connections
//
// HTTP/2 uses one connection per host. If a NAT or a load balancer forgets it, every
// attempt of every call is sent on it and times out, until the kernel gives up after
// many minutes: a timeout ends the request, not the connection. Let the base ping
// silent connections and drop those that do not respond:
//
//	base := http.DefaultTransport.(*http.Transport).Clone()
//	base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
//	rt, err := transport.New(base)
//
// A dead connection then costs 20 seconds at most. SendPingTimeout is how long a
// connection may be silent. Without it net/http sends no pings. HTTP/1.1 does not
// need this: an attempt that times out closes its connection.
//
// # Many services
//
// The chain keeps the state of up to 1,024 services at a time. A new service replaces
// those that are idle. A service for which there is no room, or whose name is longer
// than 1,024 bytes, has no guard, no hedging, no pacing and no limit of WithInFlight.
// All such services share one budget, with a floor of 1,024 times that of one service.
package transport
