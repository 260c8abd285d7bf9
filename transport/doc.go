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
//	                          └ attempt     timeout, headers that announce attempt and times, Observer.OnAttempt
//	                              └ attempt layers   WithAttemptLayer: signing, tracing
//	                                  └ base         http.DefaultTransport
//
// A call is what the caller asked for, an attempt is one request on the wire. A
// call makes one attempt or more; one that a breaker refused made none.
//
// # What the server is told
//
// Each attempt after the first says in Retry-Attempt which it is. What is left of
// the deadline of the caller's context is in Request-Timeout-Ms: a server may end
// the work then, and the response with it. Policy.AttemptTimeout is in
// Request-Attempt-Timeout-Ms: how long this attempt waits for its response header,
// after which another may follow; it bounds no body, here or there. A request that
// asks for an upgrade says only the second, as what comes of it outlives the
// context. What a request says of its time already, set by hand or passed on by a
// reverse proxy, in any dialect, is only ever lowered: by what is known here, and
// by the time that has gone by since the call began. A value that is malformed is
// replaced where one is known, and passed on where none is. An empty list of
// values keeps a header from being sent.
//
// # When a request is sent again
//
// After each attempt these are asked in this order. The first that applies ends
// the call and is its [StopReason]:
//
//  1. The answer is a success, or final by [Policy] and [WithCheckRetry]:
//     succeeded, not_retryable. An error that is context.Canceled is final:
//     a layer has given the request up.
//  2. The server said no, by X-Should-Retry: false, Stripe-Should-Retry: false
//     or a negative Grpc-Retry-Pushback-Ms: server_said_no.
//  3. The caller's context is done: cancelled, deadline. MaxAttempts is 1:
//     disabled. The call is made for an inbound request that is a retry, or for
//     which a server below said no: disabled, server_said_no. The request says
//     that its sender repeats it: disabled. MaxAttempts is reached: attempts.
//  4. It is not safe: methods other than GET, HEAD, OPTIONS, TRACE, PUT and
//     DELETE are repeated only with an Idempotency-Key or X-Idempotency-Key, or
//     if the request certainly never reached the handler (no connection, an
//     HTTP/2 REFUSED_STREAM or a GOAWAY that leaves the stream out,
//     X-Should-Retry: true), or if [WithRepeatable]
//     allows it: method.
//  5. The body cannot be replayed: body.
//  6. The wait, which is what the server asks for plus some jitter, or else the
//     backoff, is longer than MaxRetryAfter or than the time that is left:
//     retry_after, deadline.
//  7. The circuit is open and does not close within the wait: breaker_open. So
//     ends a call, too, that it refuses MaxAttempts times, or whose retries are
//     left to another hop. The guard has held the call back as many times, and
//     for as long as the attempts that are left could have taken: guard.
//  8. The budget refuses, before the wait and once more after it: budget.
//
// [CallOf] tells it of a response, [Error] of an error that is not the base's
// own, [Observer] of every call.
//
// # States
//
// Guard, breaker and budget have a state for each service. The hint is that of
// the newest answer, and the hop is the inbound request that a call is made for.
//
//	GUARD    open ---------- overload is proved ------> engaged ---- nothing fast ----> shut
//	         all pass (*) <---- room for all again ---- a window <--- fast answers ---- probes
//
//	BREAKER  closed -------- too many failures -------> open ------- time is up ------> half-open
//	         all pass                                   none pass <--- a probe fails -- probes
//	                  <--------------------- all probes succeed -----------------------
//
//	BUDGET   stock ----------- retries ---------------> empty        either
//	         a token for each <---- requests, time ---- none passes  --- Fleet.Pause --> paused
//	                                                                 <-- Fleet.Resume -- none passes
//
//	HINT     none            wait                       said no      never reached
//	         policy decides  so long at least           no retry     any method may repeat
//
// (*) While answers stay out, no more than can be answered in time, by Little's
// law. An engaged guard keeps half of its window free of retries and of calls that
// were held back before, and its probes are new calls unless none comes. A call that
// is held back asks again for as long as the attempts that it has left could take,
// and MaxAttempts times at least. All are asked in this order, and the first that
// objects ends the call:
//
//	call --> GUARD --> BREAKER --> sent --> answer --> final? --> HINT: no? ---+
//	 ^         |          |                                                    |
//	 |         +----------+------ not sent: no attempt, at no cost ----------> +
//	 |                                                                         v
//	 |                                                           context, hop, MaxAttempts?
//	 |                                                                         |
//	 |                                                                   method, body?
//	 |                                                                         |
//	 +--- wait <--- BUDGET? <--- refused for <--- past the <--- HINT: longer than
//	      then BUDGET,           longer still?    deadline?     MaxRetryAfter?
//	      if it refused
//
// Where two of them meet:
//
//	guard × breaker     held back: the breaker is not asked                     guard
//	                    refused below: proves nothing to the guard              breaker_open
//	guard × budget      held back: not counted as a call, and no token spent;   guard
//	                    that of a retry waits with it, else is paid back
//	                    with Evidence, a success that comes late earns nothing  succeeded
//	guard × hint        503 with Retry-After or X-Should-Retry: helps it open
//	                    another 503, 5xx or 429: proves nothing
//	                    RetryIn is no hint: asked again within MaxDelay         guard
//	hedging × guard     engaged: no second copy; nor with the circuit open,
//	                    without a token, or below a hop that retries
//	breaker × hint      Retry-After of the answer that trips it: open as long   breaker_open
//	                    X-Should-Retry: true, or a 503 with false: no failure
//	breaker × wait      open for longer: not waited for                         breaker_open
//	                    closes within it: the retry is sent, as the probe
//	budget × breaker    open: the budget is not asked                           breaker_open
//	                    opens during the wait: the token is paid back           breaker_open
//	budget × hint       said no: the budget is not asked                        server_said_no
//	                    wait over MaxRetryAfter: nor then                       retry_after
//	                    empty: asked again after the wait; over MaxDelay, not   budget
//	budget × fleet      budget.All: one refuses, what others gave is paid back  budget
//	                    paused: no retry and no second copy, by any process     budget
//	deadline × wait     reached by it: answer in hand, the budget is not asked  deadline
//	                    the context ends during it: paid back, an Error         deadline, cancelled
//	hop × retry         inbound request is a retry: sent once                   disabled
//	                    a server below said no to it: sent once                 server_said_no
//	                    the sender of the request repeats it: sent once         disabled
//	                    attempts used up with credit left: chance, says nothing attempts
//	                    no success in spite of retries: says no to the hop above
//
// Each row has an Example: guard × breaker is that of Transport.GuardState (Breaker), and so
// on, deadline and hop are with Transport. What takes time is in tests that fake
// it: TestBooksOfAStorm, TestTheRetryIsTheProbe, TestThrottledUpToTheDeadline,
// TestOpenCircuitProvesNothingToTheGuard and TestBudgetOfRefusedAttempts.
//
// # What the caller gets
//
// The last real response, whatever its status, with its body unread. If there
// was no response, the error: where a call was sent once and the chain did no
// more than pass it on, that of the base itself, the same value; an [*Error]
// around the last one where the chain retried, waited, cut the attempt or refused
// another. A status is never turned into an error, so that code written for a
// bare transport goes on working. An [Observer] is told the [StopReason] of every
// call, also of one whose error is passed on. The caller's request is never
// changed and its body is closed on every path.
//
// # Bodies of requests
//
// GetBody replays the body where there is one; another body is kept while it
// streams, up to MaxReplayBytes, and nothing is read ahead.
//
// What GetBody returns may be the one reader that there is, put back to its
// start, as in go-retryablehttp, azcore, connect-go and with files. So it is
// asked just before an attempt is sent, once the attempt before has let go of
// its own body. That one may be under way still: a server may answer before it
// has read the upload, and net/http goes on sending. At the end of the wait it
// reads no more, its body is closed if the base has not done so, and a Read
// under way is waited for up to MaxDelay. Where that does not end, or GetBody
// fails, the call ends with the answer in hand, stopped by body; of an answer
// that did not come whole within 64 KiB and 50 ms, the body then breaks off.
// GetBody itself must not block: no context bounds it, as in net/http.
// The same holds for a redirect that comes early, after which http.Client asks
// for GetBody, if the redirect says that it is no longer than 64 KiB.
//
// Two attempts at a time, which is hedging, never share a reader: see
// [WithHedging].
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
// # Trying it out
//
// With [WithDryRun] every request is sent once, at once and as it came, whatever
// guard, breaker and budget think of it. They judge it beside that, and [Call]
// says what they would have done.
//
// # Placement
//
// One Transport serves a program: its budget and its breaker must outlive the
// call to bound anything. Where a library builds a transport of its own for each
// client, [Transport.Wrap] puts the one chain around it. Layers that must see
// every attempt, such as signing, are attempt layers. Put nothing that retries
// above or below it, or attempts multiply.
//
// # Below an SDK that retries
//
// Many SDKs retry by themselves, and three attempts of three attempts are nine.
// So a request is sent once, with StopReason disabled, whose header says that
// its sender repeats it (see headers.SenderRetries):
//
//   - the retries of an SDK: Amz-Sdk-Request, X-Stainless-Retry-Count,
//     Grpc-Previous-Rpc-Attempts, gccl-attempt-count, Retry-Attempt;
//   - also its first attempt where it tells that more may follow: an
//     Amz-Sdk-Request with max=3, Opc-Client-Retries: true. Three attempts stay
//     three, and the SDK decides about them;
//   - what a proxy passes on with such a header, or with an X-Envoy-Attempt-Count
//     above 1;
//   - an attempt of another chain further out that retries.
//
// A first attempt that does not tell is repeated here: with X-Stainless-Retry-Count
// the three attempts of an SDK become five. An SDK that says nothing, as most do,
// multiplies. Either way it is best to have one of the two retry. To leave it to
// the chain, turn the SDK's retries off: aws.NopRetryer{}, option.WithMaxRetries(0)
// of OpenAI and Anthropic, storage.WithPolicy(storage.RetryNever) of Google,
// MaxRetries -1 of azcore, MaxRetries 1 of minio, SetMaxRetries(0) of Vault,
// SetRetryCount(0) of resty. To leave it to the SDK, set MaxAttempts to 1; guard
// and breaker work as before.
//
// # Dead connections
//
// HTTP/2 keeps one connection for each host. If it dies without a word, since a
// NAT or a load balancer has forgotten it, every attempt of every call is sent on
// it and times out, until the kernel gives it up after many minutes: a timeout
// ends the request and not the connection. Have the base ping a connection that
// is silent and drop one that does not answer:
//
//	base := http.DefaultTransport.(*http.Transport).Clone()
//	base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
//	rt, err := transport.New(base)
//
// Then such a connection costs 20 seconds at most. SendPingTimeout is how long a
// connection may be silent; without it net/http sends no pings. HTTP/1.1 needs no
// such thing, since an attempt that times out there takes its connection along.
//
// # Many services
//
// A crawler or a sender of webhooks calls more services than memory should be
// kept for. The chain knows up to 1024 at a time. A new service takes the place
// of those that have not been called for a while. One for which there is no
// room is not judged: the guard lets its calls pass and there are no second
// copies. Its retries come from a budget for all such services, which allows as
// many as all known services have together. Names longer than 1024 bytes are
// treated the same way.
package transport
