package middleware

import (
	"context"
	"hash/maphash"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// New returns the middleware. Its error joins all mistakes in the options. Handlers
// that are wrapped by the same middleware share its limits. A request that passes
// through two of them, around a router and around one of its routes, is counted by the
// outer one alone. New starts no goroutine. Like [http.Handle], the middleware panics if the handler is nil.
func New(opts ...Option) (func(http.Handler) http.Handler, error) {
	// A second back, so that no moment since the epoch is 0.
	m := &machine{epoch: time.Now().Add(-time.Second), seed: maphash.MakeSeed()}
	for _, opt := range opts {
		if opt != nil {
			opt(&m.config)
		}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	if m.limit != nil || m.shedding != nil {
		m.limiter = newLimiter(&m.config)
	}
	for _, r := range m.rates {
		m.rateLimits = append(m.rateLimits, newRateLimit(r))
	}
	m.timed = len(m.observers) > 0 || m.deadlines != nil
	for _, o := range m.observers {
		if o.OnNew != nil {
			m.counted = m.limiter == nil
			o.OnNew(m.load)
		}
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("middleware: nil handler")
		}
		return &handler{machine: m, next: next}
	}, nil
}

// machine is what the handlers of one New share.
type machine struct {
	config
	epoch      time.Time
	seed       maphash.Seed // of the keys of callers
	timed      bool
	counted    bool                // requests in the handler, by busy
	busy       atomic.Int64        // how many there are; the limiter knows it where there is one
	limiter    *limiter.Controller // nil: nothing is limited
	rateLimits []rateLimit
	usual      atomic.Pointer[kind] // of writers
}

// now is the time since the epoch: reading it costs half of what time.Now does.
func (m *machine) now() time.Duration { return time.Since(m.epoch) }

// load is how busy the handlers are.
func (m *machine) load() Load {
	if m.limiter == nil {
		return Load{InFlight: int(m.busy.Load())}
	}
	s := m.limiter.State()
	return Load{InFlight: s.InFlight, Limit: s.Limit, Waiting: s.Waiting, Latency: s.Latency, Reason: s.Reason}
}

type handler struct {
	*machine
	next http.Handler
}

// Info is what is known about a request: see [FromContext].
type Info struct {
	Attempt     int           // 1 on the first; 0 if the client does not say
	MaxAttempts int           // 0 if the client does not say
	CallID      string        // the same on all attempts of a call; "" if the client does not say
	Deadline    time.Time     // zero if the request has no deadline
	QueueWait   time.Duration // how long the request waited to be admitted
}

type infoKey struct{}

// FromContext returns what is known about the request whose context ctx is. It
// reports false outside a handler, and if neither WithAttempts nor WithDeadlines is
// given.
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
	k := h.kindOf(w)
	if !k.plain && h.around(w) {
		h.next.ServeHTTP(w, r)
		return
	}
	wrapped, x := k.wrap(w)
	x.machine, x.request = h.machine, r
	if h.timed {
		x.started = h.now()
	}
	h.serve(x, wrapped, r)
	if !x.done {
		panic(nil) // with GODEBUG=panicnil=1, end cannot tell that it recovered a panic
	}
}

// around reports whether a handler of the same machine has the request already: it
// would take a second slot, and wait for the one that it holds.
func (m *machine) around(w http.ResponseWriter) bool {
	for range 16 { // a writer may unwrap to itself
		if own, ok := w.(interface{ self() *exchange }); ok && own.self().machine == m {
			return true
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = outer.Unwrap()
	}
	return false
}

// serve lets the request into the handler, or refuses it.
func (h *handler) serve(x *exchange, wrapped http.ResponseWriter, r *http.Request) {
	defer x.end()
	if h.route != nil {
		x.route = h.route(r)
	}
	if h.drain != nil && h.drain.Draining() && h.shed(x, wrapped, ShedDrain, 0) {
		return
	}
	if h.attempts || h.deadlines != nil {
		h.read(x, r)
		if at := x.about.expires; at > 0 && at <= x.started && h.shed(x, wrapped, ShedExpired, 0) {
			return
		}
	}
	for i := range h.rateLimits {
		if wait, ok := h.rateLimits[i].allows(x, r); !ok && h.shed(x, wrapped, ShedRate, wait) {
			return
		}
	}
	if h.limiter != nil {
		if reason := h.admit(x, r); reason != ShedNone && h.shed(x, wrapped, reason, 0) {
			return
		}
	}
	if h.counted {
		x.count()
	}
	if x.about != nil {
		defer x.tell()()
		x.boundBody()
	}
	x.watchBody()
	h.next.ServeHTTP(wrapped, x.request)
	x.returned(wrapped)
}

// attempt returns which attempt the request is, even if handlers are not told. A zero
// N is not known.
func (m *machine) attempt(x *exchange, r *http.Request) headers.Attempt {
	if m.attempts {
		info := &x.about.info
		return headers.Attempt{N: info.Attempt, Max: info.MaxAttempts, ID: info.CallID}
	}
	if m.trust != nil && !m.trust(r) {
		return headers.Attempt{}
	}
	a, _ := headers.AttemptOf(r.Header)
	return a
}

// read takes attempt and deadline from the header, if its sender is trusted.
func (h *handler) read(x *exchange, r *http.Request) {
	x.about = &about{exchange: x, origin: r}
	trusted := h.trust == nil || h.trust(r)
	if h.attempts && trusted {
		if a, ok := headers.AttemptOf(r.Header); ok {
			x.about.info = Info{Attempt: a.N, MaxAttempts: a.Max, CallID: a.ID}
			x.about.hop.Attempt = a.N
		}
	}
	if h.deadlines == nil {
		return
	}
	var left time.Duration
	var bounded bool
	if trusted {
		left, bounded = headers.TimeoutOf(r.Header, time.Now())
	}
	said, asked := bounded, left
	if left, bounded = h.deadlines.bound(left, bounded); bounded {
		x.about.expires = max(0, x.started+left) // 0, no deadline, if the sum overflows
		x.about.said = said && left == asked
	}
}

// shed refuses the request, for the given wait if that is above 0. In a dry run it only
// notes the reason and returns false.
func (h *handler) shed(x *exchange, w http.ResponseWriter, reason ShedReason, wait time.Duration) bool {
	if x.shed() == ShedNone {
		x.note(func(r *rare) { r.shed = reason })
	}
	if h.dryRun {
		return false
	}
	x.refuse(w, reason, wait)
	x.done = true
	return true
}
