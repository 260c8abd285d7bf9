// Package prommetrics records calls of clients and requests of servers in
// Prometheus.
//
//	metrics, err := prommetrics.New(prometheus.DefaultRegisterer)
//	circuits, err := breaker.New(breaker.WithObserver(metrics.Breaker()))
//	client, err := transport.New(nil,
//		transport.WithObserver(metrics.Client()),
//		transport.WithBreaker(circuits.Wrap),
//	)
//	wrap, err := middleware.New(middleware.WithObserver(metrics.Server()))
//	keys, err := idempotency.New(store, account, idempotency.WithObserver(metrics.Idempotency()))
//	metrics.Breakers(circuits.All)
//	metrics.Budgets(client.Budgets) // FleetBudgets for those of a redisbudget.Fleet
//
// Calls and requests are counted when they end. The state of breakers and budgets
// is read when Prometheus scrapes.
//
// # Results, in metrics, spans and logs
//
// The outcome of an attempt, a call or a request has the same word everywhere. The
// result, a [transport.Result] or a [middleware.Result], is a label of metrics and
// a field of log lines; in spans it is the attribute evenkeel.result, where the
// status of the response does not say it. The same holds for stop, a
// [transport.StopReason], and for reason, a [middleware.ShedReason], which is
// evenkeel.shed in spans. The status of a span with an error has that word, and the
// span has the type of the error, but no text of it: errors may hold URLs with
// secrets. What the caller cancels is no error, whatever the cause.
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
//	not sent, another was told to wait      -                retry_after     -                   error retry_after     warn   RefusedFor() time.Duration
//	refused by the breaker                   -                breaker_open    -                   error breaker_open    warn   breaker.ErrOpen
//	no place among those in flight          -                in_flight       -                   error in_flight       warn   RefusedFor() time.Duration
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
// An attempt is judged by the header of its response; spans also show what happened
// to the body. Of two hedged copies, the one that is cancelled because the other was
// answered is outrun.
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
//	refused: little memory          shed          memory       error           warn
//	refused: client left the queue  shed          gone         unset           warn
//	a dry run would refuse it       success       concurrency  unset           info
//
// Whether a client has left is known from the context of the request, or from a
// write that fails. After the first flush a response is a stream, and ends well when
// its handler returns. A handler aborts by panicking with [http.ErrAbortHandler], as
// a proxy does that lost the server behind it or its client. If the client is still
// there, the result is aborted, which is no fault of the program.
//
// A request with an Idempotency-Key has an outcome besides, an [idempotency.Outcome]: the
// label outcome, the attribute evenkeel.idempotency and the field outcome of the log.
//
//	request with a key                       outcome            log
//	answered                                 first              debug
//	answered, an earlier run had died        resumed            info
//	answered 429                             released           debug
//	streamed                                 unkept             info
//	panicked                                 interrupted        warn
//	answered, and the store took no answer   unstored           warn
//	answered, and another run has the key    lost               warn
//	answered without a record, by FailOpen   unguarded          warn
//	sent again                               replayed           debug
//	sent again while it runs                 in_progress        debug
//	sent again with another body             key_reused         info
//	sent again, the first run had died       outcome_unknown    warn
//	sent again, it was streamed              answer_not_kept    info
//	has no key, and needs one                key_missing        debug
//	has an empty key                         key_invalid        debug
//	from nobody who is known                 no_caller          debug
//	has too large a body                     body_too_large     debug
//	has a body that ends early               body_unreadable    debug
//	the store is away                        store_unavailable  warn
//	the store rolled the transaction back    busy               info
//	client left before the handler           cancelled          debug
//
// # Cost
//
// The series of a service are looked up once per event, and never by their labels.
// A call that succeeds allocates nothing here and takes about as long as reading a
// clock twice.
//
// # Number of series
//
// The only label whose values come from outside is service. It is never a host or a
// path unless the service is named after one. It has at most as many values as
// [WithMaxServices] says; the other services are counted together as "(other services)". All
// other labels are closed lists.
//
// # Labels
//
//	service   the service of a call
//	result    a [transport.Result] or a [middleware.Result]
//	stop      a [transport.StopReason]
//	reason    in evenkeel_server_shed_total a [middleware.ShedReason]; in
//	          evenkeel_client_retries_total the result that the retry follows, refused after
//	          breaker or guard had refused the attempt before, or hedge
//	outcome   an [idempotency.Outcome]
package prommetrics
