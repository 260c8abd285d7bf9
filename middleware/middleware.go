package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// New returns the middleware. All that is wrong with the options is joined into
// one error. Handlers wrapped by the same middleware share its limits. It
// starts no goroutine.
func New(opts ...Option) (func(http.Handler) http.Handler, error) {
	m := &machine{epoch: time.Now()}
	for _, opt := range opts {
		if opt != nil {
			opt(&m.config)
		}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	if m.limit != nil || m.shedding != nil {
		m.gate = newGate(&m.config)
	}
	for _, r := range m.rates {
		m.limiters = append(m.limiters, newLimiter(r))
	}
	m.timed = m.gate != nil || len(m.observers) > 0 || m.deadlines != nil
	return func(next http.Handler) http.Handler { return &handler{machine: m, next: next} }, nil
}

// machine is what the handlers of one New share.
type machine struct {
	config
	epoch    time.Time
	timed    bool
	gate     *gate // nil: nothing is limited
	limiters []limiter
}

// now is the time since the epoch: reading it costs half of what time.Now does.
func (m *machine) now() time.Duration { return time.Since(m.epoch) }

type handler struct {
	*machine
	next http.Handler
}

// Info is what is known about a request.
type Info struct {
	Attempt     int           // 1 on the first; 0 if the client does not say
	MaxAttempts int           // 0 if the client does not say
	CallID      string        // the same on all attempts of a call; "" if unknown
	Deadline    time.Time     // zero if there is none
	QueueWait   time.Duration // how long it waited to be admitted
}

type infoKey struct{}

// FromContext returns what is known about the request of this context. It
// reports false outside a handler, and without WithAttempts and WithDeadlines.
func FromContext(ctx context.Context) (Info, bool) {
	if info, ok := ctx.Value(infoKey{}).(*Info); ok {
		return *info, true
	}
	return Info{}, false
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, exempt := range h.exempt {
		if exempt(r) {
			h.next.ServeHTTP(w, r)
			return
		}
	}
	wrapped, x := wrap(w)
	x.machine, x.request, x.client = h.machine, r, r.Context()
	if h.timed {
		x.started = h.now()
	}
	defer x.end()
	if h.drain != nil && h.drain.Draining() && h.shed(x, wrapped, ShedDrain) {
		return
	}
	left, bounded := h.read(x, r)
	if bounded && left <= 0 && h.shed(x, wrapped, ShedExpired) {
		return
	}
	for i := range h.limiters {
		if !h.limiters[i].allows(x, r) && h.shed(x, wrapped, ShedRate) {
			return
		}
	}
	if h.gate != nil {
		if reason := h.admit(x, r, left, bounded); reason != ShedNone && h.shed(x, wrapped, reason) {
			return
		}
	}
	if h.attempts || h.deadlines != nil {
		ctx, cancel := x.context(r.Context(), left-x.info.QueueWait, bounded)
		defer cancel()
		x.request = r.WithContext(ctx)
		x.boundBody(wrapped)
	}
	h.next.ServeHTTP(wrapped, x.request)
	x.returned(wrapped)
}

// admit takes a slot, if need be after a wait, and returns why there is none.
func (h *handler) admit(x *exchange, r *http.Request, left time.Duration, bounded bool) ShedReason {
	g, now := h.gate, x.started
	var ok bool
	x.before, x.limit, ok = g.enter()
	if !ok && (h.dryRun || !g.queued) {
		g.turnAway()
		if h.dryRun {
			g.inFlight.Add(1)
			x.hold(now)
		}
		if h.calendar(x, r, now) {
			g.calendar.cameBack(false)
		}
		return ShedConcurrency
	}
	if !ok {
		return h.queueUp(x, r, left, bounded)
	}
	x.hold(now)
	if g.probing.Load() {
		x.probe = g.tag()
	}
	if h.calendar(x, r, now) {
		g.calendar.cameBack(true)
	}
	return ShedNone
}

// calendar reports whether the request may be one that the calendar told to
// come back. Only then does its attempt have to be known.
func (h *handler) calendar(x *exchange, r *http.Request, now time.Duration) bool {
	return h.gate.calendar.open(now) && h.attemptOf(x, r) > 1
}

// queueUp waits for a slot.
func (h *handler) queueUp(x *exchange, r *http.Request, left time.Duration, bounded bool) ShedReason {
	g, now := h.gate, x.started
	w := &waiter{at: now, rank: h.rank(r), done: make(chan outcome, 1)}
	if bounded {
		w.expires = now + left
	}
	if d, ok := r.Context().Deadline(); ok { // of a handler further out
		if at := d.Sub(h.epoch); w.expires == 0 || at < w.expires {
			w.expires = max(1, at)
		}
	}
	retry := h.attemptOf(x, r) > 1
	reason, patience := g.join(now, w, retry)
	if reason == ShedNone {
		o := g.wait(r.Context(), w, patience)
		reason = o.reason
		x.info.QueueWait = max(0, o.at-now)
		if reason == ShedNone {
			x.probe = w.probe
			x.hold(o.at)
		}
	}
	if retry && reason != ShedGone && reason != ShedExpired {
		g.calendar.cameBack(reason == ShedNone)
	}
	return reason
}

// attemptOf returns which attempt the request is, also where handlers are not
// told. 0 is not known.
func (h *handler) attemptOf(x *exchange, r *http.Request) int {
	if h.attempts {
		return x.info.Attempt
	}
	if h.trust != nil && !h.trust(r) {
		return 0
	}
	a, _ := headers.AttemptOf(r.Header)
	return a.N
}

// read takes from the header what its sender is believed, and returns the time
// that is left if it is bounded.
func (h *handler) read(x *exchange, r *http.Request) (left time.Duration, bounded bool) {
	if !h.attempts && h.deadlines == nil {
		return 0, false
	}
	trusted := h.trust == nil || h.trust(r)
	if h.attempts && trusted {
		if a, ok := headers.AttemptOf(r.Header); ok {
			x.info.Attempt, x.info.MaxAttempts, x.info.CallID = a.N, a.Max, a.ID
			x.hop.Attempt = a.N
		}
	}
	d := h.deadlines
	if d == nil {
		return 0, false
	}
	if trusted {
		left, bounded = headers.TimeoutOf(r.Header, time.Now())
	}
	switch {
	case !bounded && d.Default > 0:
		left, bounded = d.Default, true
	case d.Max > 0 && (!bounded || left > d.Max):
		left, bounded = d.Max, true
	}
	if bounded {
		x.expires = max(1, x.started+left)
	}
	return left, bounded
}

// shed refuses the request, and reports false in a dry run, which does not.
func (h *handler) shed(x *exchange, w http.ResponseWriter, reason ShedReason) bool {
	if x.shed == ShedNone {
		x.shed = reason
	}
	if h.dryRun {
		return false
	}
	x.refuse(w, reason)
	return true
}
