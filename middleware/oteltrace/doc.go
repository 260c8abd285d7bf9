// Package oteltrace shows calls and requests as OpenTelemetry spans, by way of
// otelhttp.
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
// A call that breaker or guard refused has no client span: nothing was sent.
//
// The attributes of evenkeel.call are evenkeel.service, evenkeel.attempts,
// evenkeel.waited in seconds and evenkeel.stop, a [transport.StopReason]; its
// status is an error if the call ended badly. It carries nothing of HTTP, as
// the semantic conventions ask of a span around several requests. Server spans
// get evenkeel.shed, a [middleware.ShedReason], evenkeel.attempt and
// evenkeel.queue_wait in seconds, where there is something to say.
//
// # What it costs
//
// A recorded span costs microseconds, most of them in otelhttp. Where the tracer
// provider is a no-op, the client leaves otelhttp out and passes on only what the
// propagators have to say, such as baggage.
package oteltrace
