// Package middleware protects an HTTP server from overload. It sheds load that the
// handler cannot serve, sends an accurate Retry-After, and tells handlers what
// clients say about attempt and deadline.
//
//	wrap, err := middleware.New(
//		middleware.WithShedding(middleware.Shedding{}),
//		middleware.WithAttempts(),
//		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
//	)
//	http.ListenAndServe(addr, wrap(mux))
//
// New returns a func(http.Handler) http.Handler, so it fits every router that
// builds on net/http.
//
// # The order of decisions
//
//	exempt?          WithExempt: straight to the handler
//	route            WithRoute: named, also if it is refused
//	drain            WithDrain: 503 while the server shuts down, so that clients go to another instance
//	attempt          WithAttempts: read, and echoed in the response
//	deadline         WithDeadlines: 504 if it has passed
//	rate             WithRate: 429 if its client is over its quota
//	room             WithShedding, WithConcurrency: to the handler, into the queue, or 503
//	queue            room: to the handler; deadline of the call passed: 504; waited too long: 503
//	handler          with the deadline and Info in its context
//	response         the handler's own 429 or 503 without a hint gets a Retry-After while the server has no room
//
// A refused request never reaches the handler.
//
// # The concurrency limit
//
// WithShedding finds the concurrency limit. While answers are not late for their
// clients, nothing is refused, and a limit that is reached grows. An answer is late
// after a fourth of the time that clients wait, or twice the latency of the handler
// without load. Late answers have one of two causes: requests queue inside the handler,
// or the handler takes that long. A trial of a lower limit tells them apart. It refuses
// requests, so it is made only if more is asked for than was ever served, if requests queued
// within the last 10 s, or if few of the requests that come are answered in time. If requests
// queue, as many are answered per second as before, and the limit becomes what is served in
// time. If the handler takes that long, fewer are answered, and the limit grows: a handler
// that has become slower is not overloaded. A status of 500 or above says nothing about
// capacity, and neither does a panic.
//
// Clients say how long they wait in Request-Attempt-Timeout-Ms and Request-Timeout-Ms.
// If clients do not say it, or disconnect earlier, the server learns it when they
// disconnect. While nothing is known, it assumes one second.
//
// Each route has a usual latency, by the Pattern of its ServeMux or the name from
// WithRoute. Routes that keep their usual latency are admitted beyond a limit that is
// reached. A request that is overtaken by three times as many requests as the limit, such
// as a long poll, no longer counts, with or without names. A second signal is how long
// goroutines wait for a processor: requests that only compute queue there, before their
// handler starts. A third is memory: while more than 85 % of GOMEMLIMIT, or of the memory
// of the container, is live, the limit is lowered. Load reports the limit and the reason
// of its last change.
//
// A request that finds no room waits in a queue. It waits for as long as its
// client waits for the attempt and the call, less the time for the work. For a
// client that does not say, it waits for as long as a burst may take. A queue is
// standing if its oldest request has waited for long throughout such a time. It no
// longer absorbs a burst. Then the newest request is served first and the others are
// refused soon, because their clients would have disconnected by their turn. Requests
// whose clients say when the call is over are served in the order of these times, except
// those that have waited for half of the time that they may in a queue that is standing.
// They take turns with the other requests. Requests are refused in this order: those that have expired, retries while the queue is
// standing, those of low priority, the rest. Within a priority, Shedding.FairBy shares
// the room between callers: a caller above its share is refused first.
//
// The response to a request that waited for at least 1 ms says for how long
// (Request-Queued-Ms), if its client announces attempts (Retry-Attempt, or another header
// of headers.AttemptOf). The value is about this server: that of another one, which the
// handler passed on, is replaced or removed.
//
// A request gives its slot back when its handler returns or panics, when it
// hijacks the connection, and at its first Flush, from which on it is a stream. A
// request that waits for its own client for more than 20 ms, in a read of its body
// or a write of its response, does no work: another request may have its slot
// meanwhile. When the wait is over, the request continues at once, even if that exceeds the
// limit. So clients that send or read slowly cause no refusals.
//
// # When to come back
//
// A refusal says that the request may be sent again, whatever its method, because
// it did not reach the handler (X-Should-Retry: true). It also says when: each
// client gets the next slot of a calendar (Retry-After and Retry-After-Ms). Slots
// are as far apart as the handler can serve them in addition to its other load. While
// the handler answers nobody, they are five times as far apart for clients that announce
// the deadline of the call.
//
// A client is told not to come back (X-Should-Retry: false; also X-Envoy-Ratelimited
// for proxies and pushback for gRPC clients) only if its call is over before its slot:
// the deadline of the call, not the timeout of the attempt. Shedding.GiveUp can say so
// too. A request whose call is over gets 504, and so does one whose deadline was set by
// a handler further out, without a verdict. If the deadline that the server has set
// passes in the queue, the answer is a 503 like any other.
//
// A calendar knows one replica. Clients that announce their attempts (Retry-Attempt:
// 1;max=3;id="k3v9") are recognised when they come back. If most of those that were told
// to do not, another replica serves them. Then such clients are refused as soon as the
// queue is standing, and told to come back in 100 to 200 ms, whatever the calendar says.
//
// # In a chain of services
//
// Pass the context of the request to calls that are made for it with package
// transport. It tells them how much time is left, and they announce that to the
// next server. It also tells them whether the client already retries; then they
// do not. If a server below says not to retry, or the retries here and their
// budget are used up, a failure of the handler carries X-Should-Retry: false. So a
// failure is retried in one place of a chain, where it happened, and not in each.
//
// # Which headers are believed
//
// The headers of a client can only lower its own priority or shorten its own
// time, so all clients are believed by default. Malformed headers are ignored.
// WithTrust restricts whom to believe, for an edge whose logs should not show what
// strangers claim. HeaderPriority can raise a priority, so it has to be asked for.
//
// # Deadline and attempt timeout
//
// The deadline (Request-Timeout-Ms, Grpc-Timeout, Connect-Timeout-Ms) is what is
// left of the whole call. It becomes the deadline of the context, of reads of the
// body and of writes of the response.
//
// The attempt timeout (Request-Attempt-Timeout-Ms, X-Envoy-Expected-Rq-Timeout-Ms,
// X-Stainless-Timeout, the ttl of AWS SDKs) is how long this attempt waits for its
// response header. It bounds only the wait for room. A response that has begun
// takes the time it needs, and one that has not begun may still be useful to the
// client that asked for it.
//
// A deadline of the connection is only brought forward: an earlier deadline of the
// http.Server stays, and a handler that sets or lifts its own through
// http.ResponseController is left alone. A response whose time is over in the
// middle is cut off, so that no client takes it for complete.
//
// # The ResponseWriter
//
// The handler's ResponseWriter has the optional methods of the one that the
// middleware got: Flush, Hijack, ReadFrom, Push and CloseNotify, in every
// combination. Everything else is available through http.ResponseController.
// Informational responses and trailers pass. The fields of WithRate, and
// Request-Queued-Ms, are sent with the final response, not with informational ones. A
// second WriteHeader is logged by the server with the line of the handler.
package middleware
