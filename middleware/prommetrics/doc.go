// Package prommetrics records both ends in Prometheus.
//
//	metrics, err := prommetrics.New(prometheus.DefaultRegisterer)
//	circuits, err := breaker.New(breaker.WithObserver(metrics.Breaker()))
//	client, err := transport.New(nil,
//		transport.WithObserver(metrics.Client()),
//		transport.WithBreaker(circuits.Wrap),
//	)
//	wrap, err := middleware.New(middleware.WithObserver(metrics.Server()))
//	metrics.Breakers(circuits.All)
//	metrics.Budgets(client.Budgets) // FleetBudgets for those of a redisbudget.Fleet
//
// What calls and requests come to is counted as it happens; the state of
// breakers and budgets is read when Prometheus scrapes.
//
// # What ends how
//
// What an attempt and its call, or a request, came to has one word at every
// place: result is the label of the metric, the field of the log line and, where
// the status of the response does not say it, the attribute evenkeel.result of
// the span; it is a [transport.Result] or a [middleware.Result]. So it is with
// stop, a [transport.StopReason], and reason, a [middleware.ShedReason], which is
// evenkeel.shed in a span. A span that is an error has the type of the error
// behind it, and no text but its word: errors may hold URLs with secrets. What
// the caller calls off is no error, whatever the cause.
//
//	attempt and call                         result           stop            span of attempt     span of call          log    error
//	answered below 400                       success          succeeded       unset               unset                 debug  -
//	answered 404                             client_error     not_retryable   error 404           unset                 debug  -
//	answered 501                             server_error     not_retryable   error 501           error not_retryable   debug  -
//	answered 500, MaxAttempts reached        server_error     attempts        error 500           error attempts        warn   -
//	answered 503 to a POST                   unavailable      method          error 503           error method          warn   -
//	answered 503, body not kept              unavailable      body            error 503           error body            warn   -
//	answered 503, the server said no         unavailable      server_said_no  error 503           error server_said_no  warn   -
//	answered 503, budget used up             unavailable      budget          error 503           error budget          warn   -
//	answered 503, deadline before the retry  unavailable      deadline        error 503           error deadline        warn   -
//	answered 503, MaxAttempts is 1           unavailable      disabled        error 503           error disabled        debug  -
//	answered 503 in a dry run                unavailable      disabled        error 503           error disabled        info   -
//	answered 429, Retry-After too long       throttled        retry_after     error 429           error retry_after     warn   -
//	refused by the breaker                   -                breaker_open    -                   error breaker_open    warn   breaker.ErrOpen
//	refused by the guard                     -                guard           -                   error guard           warn   *transport.GuardError
//	AttemptTimeout passed                    timeout          attempts        error timeout       error attempts        warn   context.DeadlineExceeded
//	deadline of the caller passed            timeout          deadline        error timeout       error deadline        warn   context.DeadlineExceeded
//	deadline with a cause passed             timeout          deadline        error timeout       error deadline        warn   the cause
//	http.Client.Timeout passed               timeout          deadline        error timeout       error deadline        warn   context.DeadlineExceeded
//	cancelled by the caller                  cancelled        cancelled       unset               unset                 debug  context.Canceled
//	cancelled with a cause                   cancelled        cancelled       unset               unset                 debug  the cause
//	cancelled while it waits for a retry     unavailable      cancelled       error 503           unset                 debug  context.Canceled
//	a copy that another outran               outrun, success  succeeded       unset               unset                 info   -
//	no connection                            error            attempts        error *net.OpError  error attempts        warn   *net.OpError
//	the base panicked                        panicked         not_retryable   error panicked      error panicked        debug  the panic
//	body broke off                           success          succeeded       error body          error body            debug  -
//	cancelled in the body                    success          succeeded       unset               unset                 debug  -
//	deadline passed in the body              success          succeeded       error timeout       error timeout         debug  -
//
// An attempt is judged by the header of its response; what becomes of the body
// is in the spans. In a race of hedged copies, outrun is the one that is called
// off since the other was answered.
//
//	request                         result        reason       span            log
//	answered below 400              success       -            unset           debug
//	answered 404                    client_error  -            unset           debug
//	answered 429                    throttled     -            unset           debug
//	answered 503                    unavailable   -            error           debug
//	answered 500                    server_error  -            error           debug
//	streamed to the end             success       -            unset           debug
//	streamed, client left           success       -            unset           debug
//	client left                     cancelled     -            unset           debug
//	client left, 502                cancelled     -            unset           debug
//	client left, aborted            cancelled     -            unset           debug
//	aborted                         aborted       -            unset           debug
//	deadline passed                 timeout       -            error           debug
//	deadline passed, aborted        timeout       -            error timeout   debug
//	hijacked                        hijacked      -            unset           debug
//	panicked                        panicked      -            error panicked  debug
//	refused: expired                shed          expired      error           warn
//	refused: no room                shed          concurrency  error           warn
//	refused: waited too long        shed          queue        error           warn
//	refused: a retry                shed          retry        error           warn
//	refused: low priority           shed          priority     error           warn
//	refused: over the quota         shed          rate         unset           warn
//	refused: shutting down          shed          drain        error           warn
//	refused: client left the queue  shed          gone         unset           warn
//	a dry run would refuse it       success       concurrency  unset           info
//
// A client that has left is told by the context of the request, or by a write
// that fails. Once a handler has flushed, its response is a stream, for which it
// is a good end that the handler returns. A handler that aborts panics with
// [http.ErrAbortHandler], as a proxy does that lost either end; where the client
// is still there, the result is aborted, which is no fault of the program.
//
// # What it costs
//
// The series of a service are looked up once per event and never by their
// labels, so that a call that goes well allocates nothing here and takes about
// as long as reading a clock twice.
//
// # How many series there are
//
// The only label that comes from outside is the service, never a host or a
// path unless the service is named after one. It has at most as many values as
// [WithMaxServices] says; the services beyond are counted together as "other".
// All other labels are closed lists.
//
// # Words
//
// The label stop is a [transport.StopReason], the label reason of
// evenkeel_server_shed_total a [middleware.ShedReason]. What an attempt or a
// request came to is a [transport.Result] or a [middleware.Result], and what made
// a retry necessary is a result, or refused after breaker or guard had refused
// the attempt before, or hedge.
package prommetrics
