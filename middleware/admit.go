package middleware

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// newLimiter returns the limiter that the options ask for.
func newLimiter(c *config) *limiter.Controller {
	s := c.shedding.filled()
	cfg := limiter.Config{
		Min: s.MinConcurrency, Max: s.MaxConcurrency,
		Queue: c.shedding != nil, MaxWait: s.MaxWait, MaxPatience: headers.MaxDelay, MaxRetryAfter: s.MaxRetryAfter,
	}
	if c.limit != nil {
		cfg.Limit = *c.limit
	}
	if c.shedding != nil && c.shedding.MaxWait > 0 {
		cfg.MaxPatience = c.shedding.MaxWait
	}
	if c.priority != nil {
		cfg.Priorities = headers.MaxPriority + 1
	}
	if s.SchedulerLatency > 0 {
		cfg.SchedulerLatency, cfg.Scheduler = s.SchedulerLatency, new(schedulerWait).sample
	}
	cfg.Fair = s.FairBy != nil
	if c.shedding != nil && !s.IgnoreMemory {
		cfg.Memory = newMemoryUse(os.DirFS("/")).sample
	}
	return limiter.New(cfg)
}

// admit takes a slot, after a wait if necessary, or returns why it got no slot.
func (h *handler) admit(x *exchange, r *http.Request) ShedReason {
	l := h.limiter
	if l.Overruns() && h.overruns(x, r) && !h.dryRun {
		return ShedQueue
	}
	slot, arrival, ok := l.Enter()
	if !ok && l.Awaits() && l.Lend(x.now()) {
		slot, arrival, ok = l.Enter()
	}
	if !ok && h.dryRun && l.Raise(x.now()) {
		slot, arrival, ok = l.Enter()
	}
	x.arrival = arrival
	switch {
	case ok:
		if slot.Weight > 0 {
			l.Watch(x.now())
		}
		x.held.Take(slot)
	case h.dryRun || !l.Queues():
		l.Refuse(x.now())
		if h.dryRun {
			x.held.Take(l.ForceEnter())
		}
	default:
		return h.queueUp(x, r)
	}
	if l.Reserved() && l.Expects(x.now()) {
		h.cameBack(x, r, ok)
	}
	if !ok {
		return ShedConcurrency
	}
	return ShedNone
}

// overruns reports whether the request is refused because the processors are far behind.
func (h *handler) overruns(x *exchange, r *http.Request) bool {
	caller := uint64(0)
	if h.limiter.Fair() {
		caller = h.callerOf(r)
	}
	return h.limiter.RefuseOverrun(x.now(), h.attempt(x, r).N > 1, rand.Float64(), caller)
}

// cameBack tells the calendar about a request that it may have told to come back. The
// attempt headers are read only for that.
func (h *handler) cameBack(x *exchange, r *http.Request, admitted bool) {
	if a := h.attempt(x, r); a.N > 1 {
		h.limiter.CameBack(h.callOf(a), x.now(), admitted)
	}
}

// callOf returns a hash of the ID of the call, or 0 if its client does not say that it may
// come back.
func (m *machine) callOf(a headers.Attempt) uint64 {
	if a.Max <= 1 || a.ID == "" {
		return 0
	}
	return max(1, maphash.String(m.seed, a.ID))
}

// leastTold is the shortest wait for room that a client is told. A shorter one is no
// queue.
const leastTold = time.Millisecond

// queueUp waits for a slot.
func (h *handler) queueUp(x *exchange, r *http.Request) ShedReason {
	now := x.now()
	h.limiter.Watch(now)
	attempt := h.attempt(x, r)
	req := limiter.Request{Priority: h.rank(r), Expires: x.expires(), Retry: attempt.N > 1, Returns: h.callOf(attempt) != 0, Route: h.routeOf(x, r)}
	req.Patience, req.Due, req.HasPatience = h.patience(r)
	if d, ok := r.Context().Deadline(); ok { // of a handler further out
		if at := d.Sub(h.epoch); req.Expires == 0 || at < req.Expires {
			req.Expires = max(1, at)
		}
	}
	if h.limiter.Fair() {
		req.Caller = h.callerOf(r)
	}
	w, patience, reason := h.limiter.Join(now, req)
	if reason == limiter.ReasonNone {
		d := h.wait(r.Context(), w, patience)
		reason = d.Reason
		x.note(func(r *rare) {
			r.queueWait = max(0, d.At-now)
			if reason == limiter.ReasonNone {
				r.caller = req.Caller
				r.tells = attempt.N > 0 && r.queueWait >= leastTold
			}
		})
		if reason == limiter.ReasonNone {
			x.held.Take(d.Slot)
		}
	}
	if req.Retry && reason != limiter.ReasonGone && reason != limiter.ReasonExpired {
		h.limiter.CameBack(h.callOf(attempt), now, reason == limiter.ReasonNone)
	}
	return ShedReason(reason)
}

// callerOf returns the hash of whose request it is, not 0.
func (h *handler) callerOf(r *http.Request) uint64 {
	return max(1, maphash.String(h.seed, h.shedding.FairBy(r)))
}

// routeOf names the route of a request that found no room, as far as it is known
// before it is served. A ServeMux can be asked.
func (h *handler) routeOf(x *exchange, r *http.Request) string {
	if x.route != "" {
		return x.route
	}
	if mux, ok := h.next.(*http.ServeMux); ok {
		return RouteOf(mux)(r)
	}
	return ""
}

// wait waits for a slot as long as the patience lasts and the client is there.
func (h *handler) wait(ctx context.Context, w *limiter.Waiter, patience time.Duration) limiter.Decision {
	select {
	case d := <-w.Done():
		return d
	default:
	}
	until := h.now() + patience
	look := patience
	if h.limiter.Awaits() {
		look = min(firstLook, patience)
	}
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		select {
		case d := <-w.Done():
			return d
		case <-timer.C:
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return h.limiter.Abandon(w, h.now(), limiter.ReasonExpired)
			}
			return h.limiter.Abandon(w, h.now(), limiter.ReasonGone)
		}
		now := h.now()
		if now >= until {
			return h.limiter.Abandon(w, now, limiter.ReasonNone)
		}
		h.limiter.Lend(now)
		look = min(2*look, mostLook)
		timer.Reset(min(look, until-now))
	}
}

// A request in the queue looks from time to time whether there are slots to lend,
// because it may be that no other request arrives and looks.
const (
	firstLook = 25 * time.Millisecond
	mostLook  = 100 * time.Millisecond
)

// patience returns how long the client waits for this attempt, if it says so, and when
// its call is over; 0 if it does not say that. It is only read for requests that find no
// room.
func (h *handler) patience(r *http.Request) (d, due time.Duration, said bool) {
	if h.trust != nil && !h.trust(r) {
		return 0, 0, false
	}
	now := time.Now()
	d, said = headers.AttemptTimeoutOf(r.Header, now)
	call, ok := headers.TimeoutOf(r.Header, now)
	if !ok {
		return d, 0, said
	}
	if !said || call < d {
		d = call
	}
	return d, max(1, now.Sub(h.epoch)+call), true
}
