package middleware

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// exchange is a request and its response: the ResponseWriter of the handler and
// what becomes of it, in one allocation. It is not pooled: a handler that
// writes after it has returned must not hit another request. The order of the
// fields keeps it small.
type exchange struct {
	http.ResponseWriter
	machine *machine
	request *http.Request // as the handler sees it
	about   *about        // nil if the handler is told nothing
	rare    atomic.Pointer[rare]
	route   string // by WithRoute, as far as it is known

	started time.Duration // since the epoch of the machine
	left    time.Duration // the handler, or became a stream; since the epoch too, 0 if nobody asks
	bytes   int64

	arrival limiter.Arrival
	held    limiter.Hold  // on its slot
	waited  atomic.Int64  // for its client, while it was measured; ns
	body    io.ReadCloser // of the request, behind clientBody

	status   int16 // 0 until the header is written
	bounded  bool  // boundWrites has nothing left to do
	hijacked bool
	early    bool // the answer began before the deadline, and does not go on beyond it
	late     bool // the deadline passed before the handler had answered to the end
	broken   bool // a write failed because the client has left
	cut      bool // a write failed because it took too long
	named    bool // route is settled
	done     bool // the handler returned instead of panicking, or was not called
}

// rare is what few requests have. It is replaced rather than changed, since
// [Routed] may be on another goroutine that nobody waits for any more.
type rare struct {
	shed      ShedReason
	route     string        // its name, by Routed
	limits    http.Header   // fields of WithRate that wait for the answer
	queueWait time.Duration // until it was admitted or refused
	caller    uint64        // the caller whose share admitted it; 0: it took no share
	tells     bool          // its client is told queueWait
}

func (x *exchange) note(change func(*rare)) {
	for {
		var r rare
		before := x.rare.Load()
		if before != nil {
			r = *before
		}
		change(&r)
		if x.rare.CompareAndSwap(before, &r) {
			return
		}
	}
}

func (x *exchange) noted() rare {
	if r := x.rare.Load(); r != nil {
		return *r
	}
	return rare{}
}

// expires is the deadline of the request, since the epoch of the machine; 0: none.
func (x *exchange) expires() time.Duration {
	if x.about == nil {
		return 0
	}
	return x.about.expires
}

// passed reports whether the deadline of the request has passed.
func (x *exchange) passed(now time.Duration) bool {
	at := x.expires()
	return at > 0 && now >= at
}

// shed is why the request is refused, or would be if it were no dry run.
func (x *exchange) shed() ShedReason { return x.noted().shed }

// origin is the request as it came.
func (x *exchange) origin() *http.Request {
	if x.about != nil {
		return x.about.origin
	}
	return x.request
}

// about is what the handler is told about its request, and the context that tells it.
type about struct {
	context.Context
	exchange *exchange
	origin   *http.Request
	info     Info
	hop      headers.Hop
	expires  time.Duration // the deadline of the request, since the epoch of the machine; 0: none
	body     boundBody
	bound    bound
	said     bool // the deadline is the one that the client sent
}

// Value implements [context.Context].
func (a *about) Value(key any) any {
	switch key.(type) {
	case infoKey:
		return &a.info
	case headers.HopKey:
		return &a.hop
	case exchangeKey:
		return a.exchange
	}
	return a.Context.Value(key)
}

// tell gives the handler a request with a context of its own.
func (x *exchange) tell() context.CancelFunc {
	parent, cancel := x.origin().Context(), context.CancelFunc(func() {})
	if x.about.expires > 0 {
		parent, cancel = context.WithDeadline(parent, x.machine.epoch.Add(x.about.expires))
	}
	if d, ok := parent.Deadline(); ok {
		x.about.info.Deadline = d
	}
	x.about.info.QueueWait = x.noted().queueWait
	x.about.Context = parent
	x.request = x.origin().WithContext(x.about)
	return cancel
}

// returned is called when the handler has.
func (x *exchange) returned(w http.ResponseWriter) {
	x.done = true
	if x.truncated() {
		x.late = true
		x.cutOff()
	}
	if x.status != 0 || x.hijacked {
		return
	}
	if x.request.Context().Err() == context.DeadlineExceeded {
		x.late = true
		// Left alone, net/http would answer 200 for work that was given up.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "The deadline of the request has passed.", http.StatusGatewayTimeout)
		return
	}
	x.begin(http.StatusOK) // what net/http sends for a handler that wrote nothing
}

// now is when the request arrived. The clock is read once somebody asks, which
// for most requests of a busy server is never.
func (x *exchange) now() time.Duration {
	if x.started == 0 {
		x.started = x.machine.now()
	}
	return x.started
}

// count notes that the request is in the handler, where no limiter does.
func (x *exchange) count() {
	x.arrival.InFlight = int32(x.machine.busy.Add(1) - 1)
	x.held.Take(limiter.Slot{})
}

// entered is when the request got into the handler, as far as it was measured.
func (x *exchange) entered() time.Duration { return x.started + x.noted().queueWait }

// leave notes when the handler, or the part of it that counts, was over, and
// gives the slot back.
func (x *exchange) leave(counted bool) {
	if x.left == 0 && len(x.machine.observers) > 0 {
		x.left = x.machine.now()
	}
	x.release(counted)
}

// release gives the slot back, once, whichever comes first: the end of the
// handler, a flush or a hijack.
func (x *exchange) release(counted bool) {
	l := x.machine.limiter
	slot, held, has := l.Drop(&x.held)
	if !held {
		return
	}
	if l == nil {
		x.machine.busy.Add(-1)
		return
	}
	if r := x.rare.Load(); r != nil && r.caller != 0 {
		now := x.machine.now()
		l.Served(r.caller, now, now-x.entered())
	}
	inFlight, waiting := 0, false
	if !has {
		inFlight = l.InFlight() + 1
	} else if inFlight, waiting = l.Leave(slot); waiting {
		l.Dispatch(x.machine.now())
	}
	if slot.Weight == 0 {
		return
	}
	now := x.machine.now()
	l.Lend(now) // so that what is in flight is at work
	gone := x.origin().Context().Err() != nil || x.passed(now)
	if counted || gone {
		done := x.completion(now, inFlight, gone)
		done.Waiting = waiting
		l.Learn(done)
	}
}

// completion is what the limiter learns from the request.
func (x *exchange) completion(now time.Duration, inFlight int, gone bool) limiter.Completion {
	outcome := limiter.Served
	switch {
	case gone:
		outcome = limiter.Gone
	case x.status >= http.StatusInternalServerError:
		outcome = limiter.Failed
	}
	paused := time.Duration(x.waited.Load())
	retry := x.machine.limiter.Judges() && x.machine.attempt(x, x.origin()).N > 1
	return limiter.Completion{
		At: now, Took: now - x.entered() - paused, Paused: paused, Waited: x.noted().queueWait,
		Met: int(x.arrival.InFlight), InFlight: inFlight, Slot: x.held.Slot,
		Outcome: outcome, Route: x.pattern(), Retry: retry,
	}
}

// end gives the slot back and tells the observers, also of a handler that
// panicked.
func (x *exchange) end() {
	streamed := x.left > 0
	// How soon a bug strikes says nothing about load.
	x.leave(x.done)
	x.unbound()
	// Handlers around this one read the pattern that matched from the request as it
	// came, and net/http removes the files of its form.
	origin := x.origin()
	origin.Pattern, origin.MultipartForm = x.pattern(), x.request.MultipartForm
	if len(x.machine.observers) == 0 {
		return
	}
	over := x.left
	if streamed {
		over = x.machine.now()
	}
	noted := x.noted()
	e := Event{
		Method: x.request.Method, Pattern: x.pattern(), Status: int(x.status), Bytes: x.bytes,
		Duration: over - x.started, Streamed: over - x.left,
		QueueWait: noted.queueWait, InFlight: int(x.arrival.InFlight), Limit: int(x.arrival.Limit),
		Attempt: x.attempt(), Shed: noted.shed, DryRun: noted.shed != ShedNone && x.machine.dryRun, Hijacked: x.hijacked,
	}
	var panicked any
	if !x.done {
		panicked = recover()
	}
	x.ended(&e, over, streamed, panicked)
	for _, o := range x.machine.observers {
		if o.OnRequest != nil {
			o.OnRequest(x.request.Context(), e)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
}

// attempt returns which attempt the request is, 0 if nobody asked or it is not
// known.
func (x *exchange) attempt() int {
	if x.about == nil {
		return 0
	}
	return x.about.info.Attempt
}
