package limiter

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Larger values mean no limit. They fit in 32 bits, and adding to them does not
// overflow.
const (
	unlimited = math.MaxInt32
	forever   = 1 << 61 * time.Nanosecond
)

// Config configures [New]. It has no defaults: package middleware sets them.
type Config struct {
	Limit    int  // concurrency limit; 0 finds it
	Min, Max int  // bounds of the limit that is found; Min of math.MaxInt32 or more means no limit
	Queue    bool // requests without room may wait

	MaxWait       time.Duration // in the queue, for a request that does not say how long it waits
	MaxPatience   time.Duration // in the queue, for a request that does
	MaxRetryAfter time.Duration // that a client is told to wait
	Priorities    int           // how many priorities there are, from 0; 0 ignores them
	Fair          bool          // within a priority, slots are shared between callers

	// SchedulerLatency is the 99th-percentile wait of a goroutine for a
	// processor that is never too long. 0 ignores the scheduler.
	SchedulerLatency time.Duration
	// Scheduler returns how long goroutines waited for a processor since it was
	// last called, and false if that is not known. It is called with a lock
	// held, at most four times a second.
	Scheduler func() (SchedulerSample, bool)
	// Memory returns how much memory is in use, and false if there is no limit. It is
	// called at most a hundred times a second. nil ignores the memory.
	Memory func() (MemorySample, bool)
}

// A Controller admits requests to a handler. An admitted request costs two
// atomic operations. The lock is taken for requests that find no room, and for
// completions that are measured.
type Controller struct {
	queued      bool
	maxWait     time.Duration
	maxPatience time.Duration
	calendar

	limit   atomic.Int64
	slots   slots
	awaits  awaits
	back    atomic.Int64 // requests at work again after they had lent their slot
	memory  *memoryLimit // nil: it is not watched
	waiting atomic.Int64
	probing atomic.Bool
	judging atomic.Bool   // answers are late, or the limit binds
	overrun atomic.Uint32 // thousandths of the requests that are refused because of the scheduler
	every   atomic.Int32  // one in so many requests is measured
	beyond  beyond
	usual   atomic.Int64 // latency without load, ns
	why     atomic.Pointer[string]
	lately  atomic.Int64 // when a request was last refused for want of room; 0: never

	mu       sync.Mutex // guards what follows
	adaptive adaptiveLimit
	queue    waitQueue
	demand   *demand // nil: callers are not told apart
}

// New returns a Controller without any request.
func New(cfg Config) *Controller {
	c := &Controller{queued: cfg.Queue, maxWait: min(cfg.MaxWait, forever), maxPatience: cfg.MaxPatience}
	if cfg.Priorities > 0 {
		c.queue.priorities = newPriorities(cfg.Priorities)
	}
	if cfg.Fair {
		c.queue.fair, c.demand = newFairness(), new(demand)
	}
	c.calendar.longest = min(cfg.MaxRetryAfter, forever)
	least, most := min(cfg.Min, unlimited), min(cfg.Max, unlimited)
	c.adaptive = newAdaptiveLimit(float64(least), float64(most))
	switch {
	case cfg.Limit > 0:
		c.adaptive.fixed, c.adaptive.limit = true, float64(min(cfg.Limit, unlimited))
	case least == unlimited:
		c.adaptive.fixed, c.adaptive.limit = true, unlimited
	}
	if cfg.SchedulerLatency > 0 && !c.adaptive.fixed {
		c.adaptive.sched = newSchedLimit(cfg.SchedulerLatency, cfg.Scheduler)
	}
	if cfg.Memory != nil && !c.adaptive.fixed {
		c.memory = &memoryLimit{sample: cfg.Memory}
	}
	c.publish()
	return c
}

// Enter takes a slot if there is one and no request waits for it.
func (c *Controller) Enter() (s Slot, a Arrival, ok bool) {
	limit := c.limit.Load()
	if limit < unlimited {
		a.Limit = int32(limit)
	}
	if c.waiting.Load() > 0 {
		a.InFlight = int32(c.slots.taken())
		return s, a, false
	}
	before, generation, ok := c.slots.take(int(limit))
	a.InFlight = int32(before.taken())
	if ok {
		s = Slot{Generation: generation, Weight: c.weight(before), First: before.entered() < firstCount}
	}
	return s, a, ok
}

// ForceEnter takes a slot although there may be none, for a dry run.
func (c *Controller) ForceEnter() Slot {
	return Slot{Generation: c.slots.enter(), Weight: 1}
}

// Queues reports whether requests without room may wait: see Join.
func (c *Controller) Queues() bool { return c.queued }

// InFlight is how many slots are taken.
func (c *Controller) InFlight() int {
	return c.slots.taken() + c.slotless()
}

// A State is what a Controller does at a moment.
type State struct {
	InFlight int           // requests in the handler
	Limit    int           // how many slots there are; 0: no limit
	Waiting  int           // requests in the queue
	Latency  time.Duration // usual latency of the requests in the handler, without load; 0: not known
	Reason   string        // why the limit last changed
}

// State returns the state. It takes no lock.
func (c *Controller) State() State {
	s := State{InFlight: c.InFlight(), Limit: c.Limit(), Waiting: int(c.waiting.Load()), Latency: time.Duration(c.usual.Load())}
	if why := c.why.Load(); why != nil {
		s.Reason = *why
	}
	return s
}

// Limit is how many slots there are; 0 means no limit.
func (c *Controller) Limit() int {
	if limit := int(c.limit.Load()); limit < unlimited {
		return limit
	}
	return 0
}

// Join puts a request that found no room into the queue. It returns the Waiter
// and how long to wait for it, or why the request is refused at once.
//
// A retry is refused while the queue stands, unless its client may come back when it is
// told ([Request].Returns). Such a retry is refused only while the handler answers nobody.
// While it answers nobody or few, first attempts that another replica would serve are
// refused too.
func (c *Controller) Join(now time.Duration, r Request) (*Waiter, time.Duration, Reason) {
	w := newWaiter(now, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	q, a := &c.queue, &c.adaptive
	if route := c.beyond.admit(&a.routes, r.Route, c.spare()); route != nil {
		q.entered(w)
		w.admit(Decision{At: now, Slot: Slot{Weight: 1, Beyond: route.number}})
		return w, 0, ReasonNone
	}
	a.window.joined++
	if r.Retry {
		a.window.again++
	}
	if r.HasPatience {
		a.patience.say(r.Patience.Seconds())
	}
	if a.short(now) {
		c.publish()
		c.dispatch(now)
	}
	c.slots.age(int(c.limit.Load()), c.spare())
	c.refused(q.prune(now), now)
	// From here on, a request that leaves the handler sees that one waits.
	c.waiting.Store(int64(q.all.length) + 1)
	defer func() { c.waiting.Store(int64(q.all.length)) }()
	if q.all.length == 0 {
		if before, generation, ok := c.slots.take(int(c.limit.Load())); ok {
			q.entered(w)
			w.admit(c.admitted(before, generation, now))
			return w, 0, ReasonNone
		}
	}
	// Clients leave after what the handler takes now. But the deadline of the call, after
	// which it is refused for good, is judged by the least that is possible.
	work, takes := time.Duration(a.baseline), time.Duration(1e9*min(a.usual, a.latency, a.bears()))
	w.waits = min(w.waits-max(work, takes), c.maxPatience)
	patience := q.patience(w)
	if w.expires > 0 {
		w.expires = max(1, w.expires-work)
		patience = min(patience, w.expires-now)
	}
	switch {
	case patience <= 0:
		c.refused(1, now)
		return nil, 0, q.reason(w, now)
	case r.Retry && q.standing && (!r.Returns || a.silent(now)):
		c.refused(1, now)
		return nil, 0, ReasonRetry
	case r.Returns && q.standing && a.weak(now) && c.returns.elsewhere(now):
		c.refused(1, now)
		return nil, 0, q.full()
	case q.all.length >= c.room():
		c.refused(1, now)
		loser, reason := q.loserTo(w)
		if loser == nil {
			return nil, 0, q.full()
		}
		q.resolve(loser, Decision{Reason: reason, At: now})
	}
	q.push(w)
	return w, patience, ReasonNone
}

// spare is how many requests may be in the handler without a slot.
func (c *Controller) spare() int {
	a := &c.adaptive
	if a.fixed || c.queue.memory {
		return 0
	}
	return int(a.max) - int(c.limit.Load()) - c.slotless()
}

// slotless is how many are.
func (c *Controller) slotless() int {
	return int(c.slots.overtaken.Load()+c.beyond.all.Load()) + int(c.back.Load())
}

// Abandon takes a request out of the queue whose patience is over, or for the
// reason given. A request that was admitted or refused before stays so.
func (c *Controller) Abandon(w *Waiter, now time.Duration, reason Reason) Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !w.queued {
		return <-w.done
	}
	c.queue.remove(w)
	c.waiting.Store(int64(c.queue.all.length))
	if reason == ReasonGone {
		c.adaptive.patience.leave((now - w.at).Seconds())
	}
	if reason == ReasonNone {
		reason = c.queue.reason(w, now)
		c.refused(1, now)
	}
	return Decision{Reason: reason, At: now}
}

// Raise raises the limit if a request without room is a reason to, and reports whether it
// did. [Controller.Join] does so by itself.
func (c *Controller) Raise(now time.Duration) (raised bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if raised = c.adaptive.short(now); raised {
		c.publish()
	}
	return raised
}

// Refuse counts a request that was refused without a queue.
func (c *Controller) Refuse(now time.Duration) {
	c.mu.Lock()
	c.refused(1, now)
	c.mu.Unlock()
}

// refused counts requests refused for want of room. The caller holds the lock.
func (c *Controller) refused(n int, now time.Duration) {
	if n > 0 {
		c.adaptive.shed(n)
		c.calendar.silent.Store(c.adaptive.silent(now))
		c.queue.refused = now
		c.lately.Store(int64(now))
		c.every.Store(1)
	}
}

// lull is the time without a refusal after which there is room again.
const lull = time.Second

// Short reports whether there is no room for more requests, or was not within
// the last second. The request that asks may hold a slot: held is 1 then, else 0.
func (c *Controller) Short(now time.Duration, held int) bool {
	others := c.slots.taken() - held
	at := time.Duration(c.lately.Load())
	return c.waiting.Load() > 0 || others > 0 && others+held >= int(c.limit.Load()) || at > 0 && now-at < lull
}

// Leave gives a slot back. It returns how many requests were at work until now, with a
// slot or after they had lent it, and whether others wait for a slot: then the caller
// calls Dispatch.
func (c *Controller) Leave(s Slot) (inFlight int, waiting bool) {
	inFlight = c.giveBack(s)
	// A request that joins the queue says so before it looks for room. So either
	// it finds this slot, or it is seen here.
	return inFlight, c.waiting.Load() > 0
}

// giveBack gives a slot back, and returns how many requests were at work until now.
func (c *Controller) giveBack(s Slot) (inFlight int) {
	if s.Beyond > 0 {
		c.beyond.leave(s.Beyond)
		return c.slots.taken() + int(c.back.Load()) + 1
	}
	return c.slots.give(s.Generation) + int(c.back.Load())
}

// Dispatch hands free slots to the requests in the queue.
func (c *Controller) Dispatch(now time.Duration) {
	c.mu.Lock()
	c.dispatch(now)
	c.mu.Unlock()
}

// dispatch does so. The caller holds the lock.
func (c *Controller) dispatch(now time.Duration) {
	q := &c.queue
	c.refused(q.prune(now), now)
	for q.all.length > 0 {
		before, generation, ok := c.slots.take(int(c.limit.Load()))
		if !ok {
			break
		}
		w := q.pick(now)
		q.entered(w)
		q.resolve(w, c.admitted(before, generation, now))
	}
	c.waiting.Store(int64(q.all.length))
}

// admitted is the decision on a request that waited and now has a slot. The
// caller holds the lock.
func (c *Controller) admitted(before slotCount, generation uint32, now time.Duration) Decision {
	return Decision{At: now, Slot: Slot{Generation: generation, Weight: c.weight(before), First: before.entered() < firstCount}}
}

// Learn takes in a request that was measured, once it has given back its slot.
func (c *Controller) Learn(done Completion) {
	c.mu.Lock()
	c.adaptive.owed = c.calendar.owed(done.At).Seconds()
	if c.adaptive.completed(done, c.queue.all.length) {
		c.publish()
		c.dispatch(done.At)
	}
	c.mu.Unlock()
}

// Judges reports whether the limit may move for the calls that come. Only then does it
// matter which of the requests that are measured are retries.
func (c *Controller) Judges() bool { return c.judging.Load() }

// weight returns for how many requests the one at hand is measured, or 0 if it is
// not. Of thousands of requests per second a part tells enough. While requests
// are refused, and during a trial, each is measured.
func (c *Controller) weight(before slotCount) uint8 {
	every := c.every.Load()
	if every <= 1 || c.probing.Load() {
		return 1
	}
	if before.entered()%uint32(every) == 0 {
		return uint8(every)
	}
	return 0
}

// publish makes what was learnt known to requests that do not take the lock.
func (c *Controller) publish() {
	a := &c.adaptive
	c.publishLimit()
	c.queue.short = min(max(shortWait, time.Duration(a.baseline)), c.maxWait)
	c.queue.interval = min(max(time.Duration(5*a.baseline), leastPatient), c.maxWait)
	if left := a.patience.left; left > 0 {
		c.queue.spare = max(leastSpare, time.Duration(1e9*(left-math.Min(a.usual, a.latency))))
	}
	if a.windows <= young {
		c.queue.interval = c.maxWait // the limit may be too low yet
	}
	c.calendar.throughput.Store(int64(a.throughput() * 1000))
	c.probing.Store(a.trials.on || a.windows == 0)
	c.judging.Store(!a.calm.now && !a.fixed)
	c.every.Store(a.every())
	c.usual.Store(int64(a.baseline))
	if why := c.why.Load(); why == nil || *why != a.why {
		now := a.why
		c.why.Store(&now)
	}
	c.publishOverrun()
}
