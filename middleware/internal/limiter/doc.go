// Package limiter decides how many requests a handler serves at a time, which of
// the others wait, and when those that are refused should come back.
//
// It is pure: it reads no clock, draws no random number, starts no goroutine and
// never blocks. The caller passes in the time, chance, and what became of each
// request. A time is the time since an epoch of the caller's, and above 0, which
// stands for "never". Package middleware waits for the queue, with a timer and
// the context of the request.
//
// # The order of decisions
//
//	RefuseOverrun  goroutines wait far too long for a processor: a share is refused, retries first
//	Enter          a slot is free and no request waits for it: admitted
//	Join           else admitted beyond the limit, if its route is as quick as ever, or into
//	               the queue, or refused: its time is over, a retry while the queue stands, or
//	               the queue is full and it has not the higher priority
//	Leave          gives the slot back; Dispatch hands it to the highest priority in the queue,
//	               of that to the oldest request, or to the newest while the queue stands
//	Pause, Resume  around a wait of the request for its own client; Lend hands the slot of one
//	               that lasts to another request
//	Abandon        the request waited too long, or its client left
//	Learn          every measured completion adds to a window; at its end the limit may move
//	Watch          looks how much memory is in use; while little is left the limit is lower
//	Reserve        a refused client is told when to come back, or that its call is over before
//
// # Terms
//
//	limit       how many requests may hold a slot
//	slot        the place of a request in the handler, until it leaves or is overtaken
//	overtaken   said of a request after which three times the limit was admitted: it is
//	            in no line with the others, and holds no slot any more
//	usual       the latency of a route without load, as a geometric mean
//	slow        said of a route whose requests take twice as long as usual
//	useful      said of an answer that its client waited for
//	window      the completions since the limit was last looked at: at least 100 ms and 50 of them
//	to bind     said of a limit for which requests wait or are refused
//	trial       a step of a limit that binds, judged by the useful answers of the slow routes
//	arm         the windows of one limit, by which it is judged
//	priority    a rank of requests; 0 is the lowest
//	patience    how long a request may wait in the queue
//	standing    said of a queue whose oldest request has waited long for a whole interval
//	calendar    the times at which refused clients are told to come back
//
// To change how the limit is found, open limit.go: it says when which rule applies.
// The rules are in calm.go, for a limit that does not bind, trial.go, for one that
// does, patience.go, for clients that leave, routes.go and beyond.go, for routes, and
// slots.go, for requests that are overtaken. Who waits and who is refused: queue.go,
// priorities.go and, between callers, fair.go; the waits of requests for their clients:
// pause.go; memory: memory.go; when clients come back: calendar.go, and whether others serve
// them: returns.go. controller.go holds
// the lock and what is read without it. The tests play whole worlds in milliseconds:
//
//	go test . -run Worlds -worlds
//	go test . -run Trace -v -show "stall of 10 s"
package limiter
