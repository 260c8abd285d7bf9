// Package oteltrace records calls of clients and requests of servers as OpenTelemetry
// spans. It uses otelhttp for the spans of HTTP.
//
//	tracing, err := oteltrace.New()
//	client, err := transport.New(nil, tracing.Client()...)
//	wrap, err := middleware.New(middleware.WithObserver(tracing.ServerObserver()))
//	http.ListenAndServe(addr, tracing.Server(wrap(mux)))
//
// # What a trace looks like
//
//	evenkeel.call              internal: one per call, from its start to the end of the body
//	├ HTTP GET                 client: one per attempt, by otelhttp
//	│ └ GET /users             server: in the service that was called
//	├ (event) evenkeel.retry   what was waited for, and how long
//	└ HTTP GET                 with http.request.resend_count 1
//
// A call that a breaker or the guard refused has no client span, because nothing was
// sent.
//
// The attributes of evenkeel.call are evenkeel.service, evenkeel.attempts,
// evenkeel.waited in seconds and evenkeel.stop, a [transport.StopReason]. Its status is
// an error if the call failed. It has no attributes of HTTP, as the semantic
// conventions ask of a span around several requests. Server spans have evenkeel.shed, a
// [middleware.ShedReason], evenkeel.attempt and evenkeel.queue_wait in seconds, where
// they are known. With [Tracing.KeyObserver] they have evenkeel.idempotency, an
// [idempotency.Outcome], and evenkeel.runs if a request was resumed.
//
// # Status of spans
//
// Each outcome has one word in spans, metrics and logs. The documentation of package
// prommetrics lists them all, with the status of their spans. The status of a span
// with an error has that word, and the span has the type of the error, but no text of
// it: errors may hold URLs with secrets. What the caller cancels is no error,
// whatever the cause.
//
// # Cost
//
// A recorded span costs microseconds, most of them in otelhttp. If the tracer provider
// is a no-op, the client leaves otelhttp out and only injects what the propagators
// have, such as baggage.
package oteltrace
