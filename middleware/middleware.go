package middleware

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// New returns the middleware. All that is wrong with the options is joined into
// one error. Handlers wrapped by the same middleware share its limits.
func New(opts ...Option) (func(http.Handler) http.Handler, error) {
	m := &machine{}
	for _, opt := range opts {
		if opt != nil {
			opt(&m.config)
		}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler { return &handler{machine: m, next: next} }, nil
}

// machine is what the handlers of one New share.
type machine struct {
	config
	inFlight atomic.Int64
}

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
	x.machine, x.request = h.machine, r
	if len(h.observers) > 0 {
		x.started = time.Now()
	}
	defer x.end()
	left, bounded := h.read(x, r)
	if bounded && left <= 0 && h.shed(x, wrapped, ShedExpired) {
		return
	}
	if h.limit != nil {
		defer h.inFlight.Add(-1)
		x.limit, x.before = *h.limit, int(h.inFlight.Add(1)-1)
		if x.before >= x.limit && h.shed(x, wrapped, ShedConcurrency) {
			return
		}
	}
	if h.attempts || h.deadlines != nil {
		ctx, cancel := x.context(r.Context(), left, bounded)
		defer cancel()
		x.request = r.WithContext(ctx)
		// Whoever is around this asks r which pattern matched, and net/http
		// removes the files of its form.
		defer func() { r.Pattern, r.MultipartForm = x.request.Pattern, x.request.MultipartForm }()
	}
	h.next.ServeHTTP(wrapped, x.request)
	x.returned(wrapped)
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
		return d.Default, true
	case d.Max > 0 && (!bounded || left > d.Max):
		return d.Max, true
	}
	return left, bounded
}

// shed refuses the request, and reports false in a dry run, which does not.
func (h *handler) shed(x *exchange, w http.ResponseWriter, reason ShedReason) bool {
	x.shed = reason
	if h.dryRun {
		return false
	}
	refuse(w, x.request, reason)
	return true
}
