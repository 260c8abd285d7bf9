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
//	Join           else into the queue, or refused: its time is over, a retry while the
//	               queue stands, or the queue is full and it has not the higher priority
//	Leave          gives the slot back; Dispatch hands it to the highest priority in the queue,
//	               of that to the oldest request, or to the newest while the queue stands
//	Pause, Resume  around a wait of the request for its own client; Lend hands the slot of one
//	               that lasts to another request
//	Abandon        the request waited too long, or its client left
//	Learn          every measured completion adds to a window; at its end the limit is set anew
//	Watch          looks how much memory is in use; while little is left the limit is lower
//	Reserve        a refused client is told when to come back, or that it should not
//
// # Terms
//
//	limit       how many requests may be in the handler
//	slot        the place of one of them
//	baseline    the latency of the handler without load, by route
//	window      the completions since the limit was last set: at least 100 ms and 50 of them
//	probe       a few requests served at a low limit, to measure the baseline
//	priority    a rank of requests; 0 is the lowest
//	patience    how long a request may wait in the queue
//	standing    said of a queue whose oldest request has waited long for a whole interval
//	calendar    the times at which refused clients are told to come back
//
// To change how the limit is found, open limit.go, with probe.go and routes.go; who
// waits and who is refused: queue.go, priorities.go and, between callers, fair.go; the
// waits of requests for their clients: pause.go; memory: memory.go; when clients come back:
// calendar.go. controller.go holds the lock and what is read without it.
package limiter
