// Package middleware is the server side: it keeps a handler from taking more
// than it can serve, tells clients honestly when to come back, and passes on to
// handlers what clients say about attempt and deadline.
//
//	wrap, err := middleware.New(
//		middleware.WithConcurrency(200),
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
//	attempt          WithAttempts: read, echoed in the response
//	deadline         WithDeadlines: 504 if it has passed, else in the context
//	concurrency      WithConcurrency: 503 if there is no room
//	handler          a 429 or 503 of its own gets a Retry-After if it has none
//
// A request that is refused never reaches the handler, and its answer says so
// by X-Should-Retry: true, on which a client may send even a POST again. Its
// Retry-After is spread over seconds, so that the clients refused in one moment
// do not come back in another.
//
// # What clients say
//
// The headers of clients can only lower their own rank or shorten their own
// time, so they are believed by default. WithTrust restricts that, for an edge
// whose logs should not show the fancies of strangers.
//
// # The ResponseWriter
//
// Handlers get one with the methods of the server's own: Flush, Hijack,
// ReadFrom and Push where those are there, and everything else through
// http.ResponseController. Informational responses and trailers pass.
package middleware
