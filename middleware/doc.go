// Package middleware is the server side: it keeps a handler from taking more
// than it can serve, tells clients honestly when to come back, and passes on to
// handlers what clients say about attempt and deadline.
//
//	wrap, err := middleware.New(
//		middleware.WithShedding(middleware.Shedding{}),
//		middleware.WithAttempts(),
//		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
//	)
//	http.ListenAndServe(addr, wrap(mux))
//
// What New returns is a func(http.Handler) http.Handler, so it fits every
// router that builds on net/http.
//
// # What happens to a request
//
//	exempt?          WithExempt: straight to the handler
//	route            WithRoute: named, also if it is refused
//	drain            WithDrain: 503 and another instance, once the server shuts down
//	attempt          WithAttempts: read, echoed in the response
//	deadline         WithDeadlines: 504 if it has passed
//	rate             WithRate: 429 if its client sends more than its quota
//	room             WithShedding, WithConcurrency: into the handler, or into the queue, or 503
//	queue            the deadline passes: 504; room: into the handler; the attempt's time is over, or no room in time: 503
//	handler          with deadline and Info in the context
//	response         a 429 or 503 of its own that says nothing of when to come back gets a Retry-After, while there is no room for more
//
// A request that is refused never reaches the handler.
//
// # How much is too much
//
// WithShedding finds the limit. It measures how long requests take when the
// handler is not loaded and how many it completes at most; the product, by
// Little's law, is how many it takes to keep it busy, and what exceeds it some
// times over would only wait inside it. Routes, by the Pattern of their
// ServeMux or the names of WithRoute, are measured each by itself, so that another
// mix of cheap and expensive requests is not taken for load, nor is a dependency
// of some of them that hangs. A second signal is how long goroutines wait for a processor: where
// requests only compute, that is where they queue, before any handler begins.
//
// What finds no room waits in a queue: as long as its client says that it waits
// for this attempt and for the call, less what the work takes, or for as long as a
// burst may take where it does not say. Once the queue stands, which is to say
// that its wait is no burst any more, the newest is served first and the others
// are refused soon: their clients would have gone by the time that it was their
// turn. Refused are, in this order, requests that have expired, retries, those
// of low priority, and the rest.
//
// A slot is given back when the handler returns or panics, at its first Flush,
// from which on it is a stream, and when it hijacks the connection.
//
// # When to come back
//
// A refusal says that it may be sent again whatever its method is
// (X-Should-Retry: true), since it did not reach the handler, and when: each
// client gets the next slot of a calendar (Retry-After and Retry-After-Ms), and
// slots are as far apart as the handler can serve them beside its other load.
// When the wait would be too long, or retries keep being refused, the answer is
// not to come back at all (X-Should-Retry: false, which proxies see by
// X-Envoy-Ratelimited and gRPC clients by their pushback).
//
// # In a chain of services
//
// The context of a request says to package transport what it needs to know for
// calls that are made with it: how much time is left, which it announces to the
// next server, and whether somebody above is retrying already, in which case it
// leaves it to them. When a server below says not to retry, or the retries here
// are used up and their budget has nothing for more, a failure of the handler
// carries it up as X-Should-Retry: false.
// So a failure is retried at one place of a chain, where it happened, instead
// of at each.
//
// # What clients say
//
// The headers of clients can only lower their own rank or shorten their own
// time, so they are believed by default, and nonsense is as good as absent.
// WithTrust restricts that, for an edge whose logs should not show the fancies
// of strangers. The one that can raise a rank, [HeaderPriority], has to be
// asked for.
//
// # Two facts about time
//
// What is left of the caller's deadline (Request-Timeout-Ms, Grpc-Timeout,
// Connect-Timeout-Ms) is about the whole call: it becomes the deadline of the
// context, of the body's reads and of the response's writes. How long this attempt
// waits for its response header (Request-Attempt-Timeout-Ms,
// X-Envoy-Expected-Rq-Timeout-Ms, X-Stainless-Timeout, the ttl of AWS SDKs) bounds
// only the wait for room: a response that has begun takes the time it takes, and
// one that has not may still be of use to the client that asked for it. A deadline of the
// connection is only ever brought forward: that of the http.Server comes first where
// it is the earlier one, and a handler that sets its own through
// http.ResponseController, or lifts it, is left alone. Where the time is over in the
// middle of a response, it ends without its end, so that nobody takes it for a whole one.
//
// # The ResponseWriter
//
// Handlers get one with the methods of the one that the middleware got: Flush,
// Hijack, ReadFrom, Push and CloseNotify are there in every combination where
// they are there without it, and everything else through
// http.ResponseController. Informational responses and trailers pass; the
// fields of WithRate are in the answer, not in an informational response. A
// second WriteHeader is logged by the server with the line of the handler.
package middleware
