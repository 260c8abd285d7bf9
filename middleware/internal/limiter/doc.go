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
//	RefuseOverrun  goroutines wait far too long for a processor: a share is refused, retries first,
//	               of the callers who ask for the most if slots are shared between callers
//	Enter          a slot is free and no request waits for it: admitted
//	Join           else admitted beyond the limit, if its route is as quick as ever, or into
//	               the queue, or refused: its time is over, a retry while the queue stands (but of
//	               a client that says how often it tries: such come when they are told), or
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
// # The limit
//
// It is judged by whether answers are late for their clients.
//
//	An answer is late from a fourth of the time that clients wait, or twice the latency in which
//	there is no line. A window is late if a fourth of its answers are, or a tenth of its clients
//	have left. Of clients that say nothing it is known how soon they leave; 1 s until then.
//
//	nothing late       nothing to judge. A limit that binds grows by half with each window, but no
//	                   further than a line would make answers nearly late. One that does not is
//	                   2.5 times the most in flight, or what is served in time.
//	late, no room      why? Of a line in the handler, fewer requests in flight give as many answers,
//	                   and sooner. Of a handler that takes that long, they give fewer. A trial tells.
//	                   Answers that come too late for their clients count next to nothing.
//	which trial first  less refuses calls, in vain if there is no line. So it is for where that can
//	                   win something: more is asked for than was ever served, or few of those that
//	                   come get an answer in time; and it is as deep as they are few. Else more is
//	                   tried, up to what clients bear to wait for. Neither is begun while fewer
//	                   leave than come, after a change of latency.
//	a line             the limit is the lower one, or a little more if that left the handler idle.
//	                   If it even gave more answers, a still lower one is tried. While nothing is
//	                   late, half as much again is tried from time to time, and twice as much if
//	                   most are refused. It is kept if it gives more answers. If answers come more
//	                   often, the limit grows as they do.
//	no line            answers that take that long are not late. For a while nothing is.
//	quicker            where less gives so many more answers that the limit does not explain it,
//	                   the handler has become quicker, and nothing is known of a line.
//	catching up        where more answers come than are asked for, the line goes by itself.
//	late, but room     while the number in flight rises, or clients leave, the limit comes down to
//	                   little more than what is in flight, so that it is tried. If answers come less
//	                   often than requests meanwhile, that is a sign of a line.
//	silence            a handler that is full and answers nobody is given one more request from time
//	                   to time. If that is quick, the others hang, and the limit grows.
//
// Errors teach nothing of this. Routes with a name that are as quick as ever stand in no
// line: they are let in beyond a limit that is full.
//
// # Terms
//
//	limit       how many requests may hold a slot
//	slot        the place of a request in the handler, until it leaves or is overtaken
//	overtaken   said of a request after which three times the limit was admitted: it is
//	            in no line with the others, and holds no slot any more
//	usual       the latency that three of four requests are below
//	base        the usual latency in which there is known to be no line
//	window      the completions since the limit was last looked at: at least 100 ms and 50 of them
//	to bind     said of a limit for which requests wait or are refused
//	trial       a step of a limit that binds, judged by how often answers come
//	arm         the windows of one limit, by which it is judged
//	priority    a rank of requests; 0 is the lowest
//	patience    how long clients wait, and so how long a request may wait in the queue
//	standing    said of a queue whose oldest request has waited long for a whole interval:
//	            for half of the time that its client leaves for it, or 50 ms, or the latency if
//	            that is longer
//	calendar    the times at which refused clients are told to come back
//
// To change how the limit is found, open limit.go: decide says when which rule applies.
// What was seen is in window.go, trials are in trial.go, late answers in patience.go,
// a silent handler in silence.go, routes in routes.go and beyond.go, processors in
// sched.go, requests that are overtaken in slots.go. Who waits and who is refused:
// queue.go, priorities.go and, between callers, fair.go; the waits of requests for their
// clients: pause.go; memory: memory.go; when clients come back: calendar.go, and whether
// others serve them: returns.go. controller.go holds the lock and what is read without
// it. The tests play whole worlds in milliseconds:
//
//	go test . -run Worlds -worlds
//	go test . -run Trace -v -show "stall of 10 s"
package limiter
