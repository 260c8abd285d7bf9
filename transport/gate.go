package transport

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// A gate is the guard of one service: a limiter with a lock, the number of attempts in
// flight, and a timer for the attempts that wait for room. The rule is in package guard.
type gate struct {
	clock    func() time.Duration
	inFlight atomic.Int64
	free     atomic.Int64  // in flight below which an attempt may go unwatched; -1 while engaged
	every    atomic.Uint32 // one of so many first attempts is watched; a power of two

	mu      sync.Mutex // guards what follows
	limiter *guard.Limiter
	used    time.Duration // when an attempt last asked
	timer   *time.Timer   // for the next look at those that wait; nil while nobody does
	wakeAt  time.Duration // when it fires
}

const (
	enough    = 1000 // first attempts per second to watch
	idleAfter = time.Minute
	inNoQueue = 100 // part of the scale: what took less was in no queue that matters
)

func newGate(clock func() time.Duration) *gate {
	g := &gate{clock: clock, limiter: guard.New(rand.Float64)}
	g.every.Store(1)
	return g
}

// overlooks reports whether a first attempt may be sent without being watched. A sample of
// frequent calls is enough, and looking at the clock under a lock costs more than all else.
func (g *gate) overlooks() bool {
	every := g.every.Load()
	return every > 1 && g.inFlight.Load() < g.free.Load() && rand.Uint32()&(every-1) != 0
}

// enter returns when the attempt may be sent. It waits for room, except for a second copy
// and in a dry run.
func (g *gate) enter(ctx *attemptCtx, req *http.Request) (guard.Attempt, error) {
	r, now := ctx.round, g.clock()
	left := time.Duration(0)
	deadline, bounded := req.Context().Deadline()
	if bounded {
		left = max(time.Until(deadline), 1)
	}
	g.mu.Lock()
	g.used = now
	first := ctx.number == 1
	if first {
		g.limiter.Arrive(now, int(g.every.Load()))
	}
	if r.scale.T == 0 {
		r.scale = g.limiter.Scale(r.call.policy.AttemptTimeout, left)
	}
	w := guard.Waiter{Attempt: guard.Attempt{Start: now, Scale: r.scale, First: first}, Resent: r.sent.Load() > r.turnedAway}
	// Only a retry is paid for before it has room. The charge of what is sent beside
	// another attempt, or judged beside it in a dry run, belongs to the other goroutine.
	w.Unproved = !first && !ctx.hedge && r.charge.unproved
	doubtful := w.Unproved && g.limiter.Doubtful()
	inFlight := int(g.inFlight.Load())
	if !doubtful && g.limiter.Waiting() == 0 && g.limiter.Admit(now, w.Scale, inFlight) {
		g.inFlight.Add(1)
		g.mu.Unlock()
		return w.Attempt, nil
	}
	w.Deadline = now + r.patience()
	if bounded {
		w.Deadline = min(w.Deadline, now+left)
	}
	held := &GuardError{Service: r.call.record.Service, RetryIn: g.limiter.Wake(now, w.Scale) - now}
	until := min(w.Deadline, now+r.mayThrottle())
	if until <= now || ctx.hedge || r.loop.dryRun || g.limiter.Late(now, w.Deadline, w.Scale) || doubtful && !g.limiter.Hopeful(until-now, inFlight) {
		g.mu.Unlock()
		return w.Attempt, held
	}
	waiting := w
	waiting.Ready = make(chan bool, 1)
	g.limiter.Wait(&waiting)
	g.serve(now)
	g.mu.Unlock()
	ok := g.wait(req, &waiting, until-now)
	waited := g.clock() - now
	r.throttled += waited
	r.waited += waited
	r.lastWait += waited
	switch {
	case ok:
		return waiting.Attempt, nil
	case req.Context().Err() != nil:
		r.interrupted = true
		return w.Attempt, req.Context().Err()
	}
	return w.Attempt, held
}

// wait waits for room for at most d, and reports whether there is some.
func (g *gate) wait(req *http.Request, w *guard.Waiter, d time.Duration) bool {
	if ok, said := stand(req.Context(), w.Ready, d); said {
		return ok
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limiter.Leave(w) || !<-w.Ready {
		return false
	}
	if req.Context().Err() == nil {
		return true // at the last moment
	}
	g.done(w.Attempt, g.clock(), guard.None)
	return false
}

// serve lets in those that wait, as far as there is room, and sets the timer for
// when there may be more.
func (g *gate) serve(now time.Duration) {
	for g.limiter.Waiting() > 0 {
		w, admitted := g.limiter.Next(now, int(g.inFlight.Load()))
		if w == nil {
			break
		}
		if admitted {
			g.inFlight.Add(1)
		}
		w.Ready <- admitted
	}
	next := g.limiter.First()
	if next == nil {
		if g.timer != nil {
			g.timer.Stop()
			g.timer = nil
		}
		return
	}
	at := g.limiter.Wake(now, next.Scale)
	if g.timer != nil && g.wakeAt == at {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.wakeAt = at
	g.timer = time.AfterFunc(at-now, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = nil
		g.serve(g.clock())
	})
}

// leave ends an attempt that was sent, and reports whether it was a success that
// took unusually long. The header may tell how long it waited for room at the service.
func (g *gate) leave(a guard.Attempt, s guard.Signal, told http.Header) (slow bool) {
	now := g.clock()
	if s == guard.Success && now-a.Start > a.Scale.T/inNoQueue {
		a.Queued, _ = headers.QueuedOf(told)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slow = s == guard.Success && g.limiter.Slow(now-a.Start, a.Scale)
	g.done(a, now, s)
	return slow
}

func (g *gate) done(a guard.Attempt, now time.Duration, s guard.Signal) {
	g.limiter.Done(a, now, int(g.inFlight.Add(-1)), s)
	g.free.Store(int64(g.limiter.Free()))
	every := uint32(1)
	if !g.limiter.Engaged() {
		every <<= min(bits.Len(uint(g.limiter.Rate()/enough)), 10)
	}
	g.every.Store(every)
	if g.limiter.Waiting() > 0 {
		g.serve(now)
	}
}

func (g *gate) state() GuardState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GuardState{
		Engaged: g.limiter.Engaged(), Window: g.limiter.Window(),
		InFlight: int(g.inFlight.Load()), Waiting: g.limiter.Waiting(),
	}
}

// idle reports whether the gate holds nothing that would be missed.
func (g *gate) idle(now time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.limiter.Engaged() && g.inFlight.Load() == 0 && g.limiter.Waiting() == 0 && now-g.used > idleAfter
}

const forever = math.MaxInt64 / 4 // leaves room for sums

// patience is what the attempts that the call has left could take, and the waits
// between them. With a MaxThrottle it is that and one attempt.
func (r *round) patience() time.Duration {
	p, sent := r.call.policy, int(r.sent.Load()-r.before-r.turnedAway)
	if p.MaxThrottle > 0 {
		return min(r.mayThrottle(), forever) + min(r.scale.T, forever)
	}
	d := min(p.backoffs(sent+1), forever)
	for range p.MaxAttempts - sent {
		d += min(r.scale.T, forever-d)
	}
	return d
}

// mayThrottle is how long the call may still wait for room.
func (r *round) mayThrottle() time.Duration {
	if d := r.call.policy.MaxThrottle; d > 0 {
		return d - r.throttled
	}
	return forever
}
