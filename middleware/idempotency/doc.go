// Package idempotency makes a write that is sent again happen once. Clients that
// retry a POST or PATCH send it with an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header). The first request with a key is run and
// its answer stored; those after it get that answer.
//
//	keys, err := idempotency.New(store, account, idempotency.InTransaction(payments))
//	http.ListenAndServe(":8080", auth(keys(mux)))
//
// # What is promised
//
// With a store in the handler's own database ([InTransaction], package sqlstore) the
// effect is exactly once: key, effect and answer are committed together. A process that
// paused for so long that another one took its key commits nothing.
//
// With any other store, and for effects outside of the database, it is at most once. If
// a process dies between the effect and the answer, nobody knows whether the effect
// happened. The next request is told so: 500 with the problem outcome-unknown, which no
// client should retry. A handler that can find out for itself what was done, or that
// calls others with keys of its own ([Derive]), may be run again instead: [Resume].
//
// The promise holds for as long as records are kept ([Keep], 24 hours), and only if the
// store keeps its data.
//
// # How it works
//
// A request claims its key in a step of its own: the store has a record with a random
// owner and a lease, which the run renews. Then the handler is run, and its answer is
// stored, and then sent. A duplicate that comes in between is told 409 at once, or waits
// ([Wait]). No lock is held while the handler runs. A lease that is over without an
// answer says that its process has died, or pauses. Then the key may go to another run,
// and the earlier one can no longer store or commit anything.
//
// The same key with another method, path, query, type or body is a mistake of the
// client: 422. Two callers never share a key, so [New] needs to know who calls.
//
// # What a request gets
//
//	first                              the handler's answer
//	again, after that                  the same answer, and Idempotent-Replayed: true
//	again, while it runs               409 in-progress, Retry-After, X-Should-Retry: true
//	again, after the process died      500 outcome-unknown, X-Should-Retry: false; with Resume a second run
//	again, the answer was not kept     409 answer-not-kept, X-Should-Retry: false, Location if there was one
//	another request with the key       422 key-reused, X-Should-Retry: false
//	no key where one is Required       400 key-missing
//	no key in the header, or two       400 key-invalid
//	a caller who is not known          401 no-caller
//	a body over MaxBody                413 body-too-large
//	a body that ends early             400 body-unreadable
//	the store does not answer          503 store-unavailable, X-Should-Retry: true; the handler is not run
//	the transaction was rolled back    503 busy, X-Should-Retry: true
//
// Refusals are application/problem+json (RFC 9457). Package transport asks again after
// the 409 in-progress and the 503, and ends at the others.
//
// # Answers
//
// All statuses are kept, failures too, except those that are about the moment or ask
// the client to send the request again ([ReleaseOn]). In a transaction a status of 500
// or above rolls back, so nothing has happened, and the next request is run. A failure
// after the client has left is not an answer: many handlers fail only because of that.
// In a transaction it rolls back; else the outcome is unknown.
//
// The body and a few header fields are kept ([KeepHeaders]), and never Set-Cookie. An
// answer that the handler flushes, or that is longer than [MaxBody], is sent as it comes
// and is not kept. Trailers and informational responses are sent and not kept. The
// handler's ResponseWriter has neither Hijack nor ReadFrom, and does not lead to the one
// inside.
//
// The handler's context ends with the request's, and with the cause [ErrLost] when the
// key is lost. Work that should not end because the client leaves needs
// context.WithoutCancel.
//
// # Where it goes
//
// Inside authentication, and inside what package middleware does: shedding, deadlines
// and rate limits, which refuse a request before it claims its key. Also inside layers
// that compress or set cookies. Directly around the router.
package idempotency
