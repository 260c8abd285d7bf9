// Package limiter decides how many requests a handler serves at a time, which of
// the others wait, and when refused clients should come back.
//
// It is pure: it reads no clock, draws no random number, starts no goroutine and
// never blocks. The caller passes in the time, random numbers and the outcome of each
// request. A time is the time since an epoch of the caller's choice, and above 0: 0
// stands for "never". Package middleware waits for the queue, with a timer and the
// context of the request.
//
// # The order of decisions
//
//	RefuseOverrun  goroutines wait far too long for a processor: a share of the requests is refused,
//	               retries first. If slots are shared between callers, it is the callers who ask for
//	               the most that are refused
//	Enter          a slot is free and no request waits for it: admitted
//	Join           else admitted beyond the limit, if its route is as quick as ever;
//	               refused, if its time is over;
//	               refused, if it is a retry and the queue stands. A client that says how often it
//	               tries comes when it is told, so its retry may wait unless the handler is silent;
//	               refused, if the queue is full and no other request gives way to it;
//	               else put into the queue
//	Leave          gives the slot back; Dispatch hands it to the highest priority in the queue,
//	               within it to the oldest request, or to the newest while the queue stands.
//	               If that says when its call is over, the most urgent that says so goes instead
//	Pause, Resume  around a wait of the request for its own client; Lend hands the slot of one
//	               whose wait lasts to another request
//	Abandon        the request waited too long, or its client left
//	Learn          every measured completion adds to a window; at its end the limit may move
//	Watch          looks how much memory is in use; while little is left the limit is lower
//	Reserve        tells a refused client when to come back, or that its call is over before that
//
// # The limit
//
// The limit is judged by whether answers are late for their clients.
//
//	An answer is late after a fourth of the time that clients wait, or after twice the latency
//	without a line if that is longer. A window is late if a fourth of its answers are, or if a
//	tenth of its clients have left. Clients wait as long as they say, or as most stay before
//	they leave if that is shorter; for 1 s while neither is known.
//
//	nothing late       nothing to judge. A limit that binds grows by half with each window, but not so
//	                   far that a line would make answers nearly late. If it binds there, although no
//	                   more calls come than were ever served, and latencies vary from one answer to
//	                   the next, a trial of more begins. A limit that does not bind is 2.5 times the
//	                   most in flight, or what is served in time if that is more.
//	late, no room      A trial tells why. If requests stand in a line in the handler, fewer of them
//	                   in flight are answered as often, and sooner. If the handler takes that long,
//	                   fewer are answered less often. Answers that come too late for their clients
//	                   count next to nothing.
//	which trial first  A trial of less refuses calls, for nothing if there is no line. So it comes first
//	                   only where it can win something: where more calls come than were ever served,
//	                   within 10 s of a line, as the same calls may be too many again, or where few of
//	                   the requests get an answer in time, each about as late as the one before, or
//	                   three of four clients leave. The fewer get one, the deeper it goes.
//	                   Elsewhere a trial of more comes first, up to what clients bear to wait for. Those
//	                   of whom nothing is known bear half as much again as they have borne, unless each
//	                   answer is about as late as the one before. After a change of latency
//	                   neither begins while fewer requests leave than come. Retries that clients
//	                   announce are no more calls, unless so many were refused that the last one that
//	                   was told to comes back more than a second later.
//	surely no line     In a line, a request takes the longer the more others it met. Where those that
//	                   met few take as long as those that met many, no trial is needed: the handler
//	                   takes that long. Where processors are shared, those that come later count as
//	                   much. So if the limit binds and more calls come than were ever served, the
//	                   number halfway between those when a request came and when it left has to
//	                   say the same.
//	the start          The limit is 64. It doubles for a request without room as long as none is over, or
//	                   none was for more than twice as long as those that are took. Until a window has
//	                   an answer, it doubles up to 512 also if a later request was served before the
//	                   first 16 were, which stand in no line of one, or if there were only errors.
//	                   The first requests met an empty handler: their latency is that without a line,
//	                   unless most clients leave, or fewer than half of the requests that come are over
//	                   just after it. Then a fourth of what clients wait for is.
//	a line             The limit is the lower one, or a little more if that left the handler idle. If
//	                   the lower one even gave more answers, a still lower one is tried. While nothing
//	                   is late, half as much again is tried from time to time, and twice as much if
//	                   most are refused. It is kept if it gives more answers, or as much of it as does.
//	                   If it surely gave fewer, a third less is tried next.
//	                   If answers come more often, the limit grows with them. If a lower limit gives
//	                   fewer answers and none of them sooner, a higher one is tried at once.
//	no sooner          If no more calls come than were ever served, and of two limits the lower one, with
//	                   six of ten in flight or fewer, gives no sooner answers, there is no line,
//	                   whatever their rate is: the handler may have changed meanwhile, or no more are
//	                   asked for. Of fewer than 16 calls a second that is not believed, nor within 10 s
//	                   of a line.
//	no line            Answers that take that long are not late. For a while nothing is, unless
//	                   many clients leave.
//	catching up        While more answers come than are asked for, the line goes by itself.
//	late, but room     While the number in flight rises, or clients leave, the limit comes down close
//	                   to what is in flight, so that it binds and a trial can tell.
//	silence            A handler that is full and answers nobody for longer than usual may have become
//	                   slower: the limit doubles, up to what clients bear, if no more is asked for than
//	                   was served. Later it is given one more request from time to time. If that one is
//	                   quick, the others hang, and the limit grows.
//
// Errors say nothing about the limit. Requests of a named route that is as quick as ever
// stand in no line: they are admitted beyond a limit that is reached. In a line that is so
// only if another route was slow while others were quick since it began, or within 2 s.
//
// # Terms
//
//	limit       how many requests may hold a slot
//	slot        the place of a request in the handler, until it leaves or is overtaken
//	overtaken   said of a request since which three times as many as the limit were admitted:
//	            it is in no line with the others, and no longer holds a slot
//	line        requests that wait for each other inside the handler, where nobody sees it
//	usual       the latency that three of four requests are below
//	base        the usual latency when there is known to be no line
//	window      the completions since the limit was last looked at: at least 100 ms and 50 of them
//	to bind     said of a limit for which requests wait or are refused
//	trial       a step of a limit that binds, judged by how often answers come
//	arm         the windows of one limit, by which it is judged
//	priority    a rank of requests; 0 is the lowest
//	patience    how long clients wait, and so how long a request may wait in the queue
//	standing    said of a queue whose oldest request has waited long throughout an interval.
//	            Long is 50 ms, or the latency if that is longer, or half of the time that its
//	            client leaves for the wait if that is shorter
//	calendar    the times at which refused clients are told to come back
//
// To change how the limit is found, open limit.go: decide says when which rule applies.
// What was seen is in window.go, trials are in trial.go, late answers in patience.go, the
// signs of a line and of no line in sign.go, a silent handler in silence.go, routes in
// routes.go and beyond.go, processors in sched.go and overrun.go, requests that are
// overtaken in slots.go. Who waits and who is refused: queue.go, urgent.go, priorities.go
// and, between callers, fair.go; the waits of requests for their clients: pause.go;
// memory: memory.go; when clients come back: calendar.go, and whether others serve them:
// returns.go. controller.go holds the lock and what is read without it. The tests play
// whole worlds in milliseconds:
//
//	go test . -run Worlds -worlds
//	go test . -run Drawn -drawn 200 -drawn.from 3000 -v
//	go test . -run Trace -v -show "stall of 10 s"
package limiter
