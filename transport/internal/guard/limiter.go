package guard

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Limiter limits the attempts in flight to one service. It is safe for
// concurrent use. Make one with [New].
//
// Each attempt begins with Start. If the limiter watches it, Enter says whether
// it may be sent, and Leave ends it if so. Otherwise Drop ends it.
type Limiter struct {
	chance   func() float64
	inFlight atomic.Int64
	free     atomic.Int64  // up to so many in flight need not ask; -1 while engaged
	sampling atomic.Uint32 // one of so many first attempts is watched; a power of two

	mu       sync.Mutex    // guards what follows
	window   float64       // how many may be in flight; infinite while open
	peak     float64       // the most in flight while responses were fast
	timeouts int           // calls in a row whose first attempt timed out
	newest   time.Duration // when the newest attempt was sent that had a fast success
	fastAt   time.Duration // when the last fast success came
	probeAt  time.Duration // when the next probe is due while the window is at most 1
	baseline baseline

	epoch       epoch
	standing    int           // epochs in a row with a standing queue
	fastest     time.Duration // response of the epoch before
	attemptRate float64       // attempts per second that got a response or timed out
	successRate float64       // per second
}

const (
	spare     = 8 // attempts in flight that are never a reason to refuse
	shut      = 0.5
	probeTime = 2 * time.Second
	probeOdds = 0.05
	idleAfter = time.Minute
)

// New returns an open Limiter. The func chance returns random numbers in [0, 1).
// It must be safe for concurrent use.
func New(chance func() float64) *Limiter {
	l := &Limiter{chance: chance, window: math.Inf(1)}
	l.free.Store(spare)
	l.sampling.Store(1)
	return l
}

// A Priority is the claim of an attempt to the room that there is. New calls come
// first, since they have the most time left.
type Priority int8

const (
	First  Priority = iota // the first attempt of a call
	Retry                  // a later one, or a copy
	Waited                 // the first attempt of a call that was refused before
)

// A Signal is what an attempt shows of the load of the service. The package
// comment has a table of what each does. Errors engage nothing: they are for a
// circuit breaker.
type Signal int8

const (
	None    Signal = iota // nothing: it failed on its own, or the caller gave up
	Failed                // an error response: the service is up but did no work
	Shed                  // a refusal of the service that says when to come back, or not to
	Success               // a response that is worth the work
	Timeout               // no response in time
)

// An Attempt is one attempt that a Limiter watches.
type Attempt struct {
	InFlight int64         // as returned by Start
	Start    time.Duration // when it asks to be sent
	Limit    time.Duration // how long it may take; 0: there is no limit
	Priority Priority
}

// A Refusal is the result for an attempt that found no room.
type Refusal struct {
	RetryIn time.Duration // when to ask again, at least 1 ms
	Scale   time.Duration // how long a response may take before it is of no use
}

// A State is a look at a Limiter.
type State struct {
	Engaged  bool
	Window   float64 // +Inf while not engaged
	InFlight int
}

// Start counts an attempt as in flight. It returns how many there are, this one
// among them, and whether the limiter watches it. An attempt that is not watched
// may be sent without Enter. Of frequent calls only a sample is watched, since a
// look at the clock and a lock cost more than everything else here.
func (l *Limiter) Start(p Priority) (inFlight int64, watched bool) {
	inFlight = l.inFlight.Add(1)
	if p != First || inFlight > l.free.Load() {
		return inFlight, true
	}
	every := l.sampling.Load()
	return inFlight, every == 1 || l.chance()*float64(every) < 1
}

// Drop ends an attempt that is not watched.
func (l *Limiter) Drop() { l.inFlight.Add(-1) }

// Enter reports whether a watched attempt may be sent. A refused one is no longer
// in flight.
func (l *Limiter) Enter(a Attempt) (Refusal, bool) {
	if a.InFlight <= l.free.Load() && a.Priority != Waited {
		return Refusal{}, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.baseline.scale(a.Limit)
	l.turn(a.Start, t)
	if l.admits(a.Start, t, float64(a.InFlight), a.Priority) {
		return Refusal{}, true
	}
	l.inFlight.Add(-1)
	return Refusal{RetryIn: max(l.epoch.start+epochOf(t)-a.Start, time.Millisecond), Scale: t}, false
}

func (l *Limiter) admits(now, t time.Duration, n float64, p Priority) bool {
	switch {
	case !l.open():
		if n <= l.window && (p == First || n <= l.window/2 || n <= 1 && l.window > 1) {
			return true
		}
	case p == Waited:
		// Calls that wait must not all return at once.
		return n <= l.threshold()/2
	default:
		// By Little's law, more than rate times T cannot be answered in time. The
		// law is applied only while no responses come, and to unusually many.
		return now-l.fastAt <= t/4 || !l.baseline.known() || n <= l.threshold() ||
			n <= 0.9*t.Seconds()*l.successRate
	}
	// Without probes nothing would show that the service responds again. Calls
	// that ask repeatedly must not raise the rate of probes above the rate of
	// calls, but they probe if there are no new calls.
	switch {
	case l.window > 1:
		return false
	case p != First && now < l.probeAt+probeTime/2:
		return false
	case now < l.probeAt && l.chance() >= probeOdds:
		return false
	}
	l.probeAt = now + probeTime/2 + l.upTo(probeTime/2)
	return true
}

// Leave ends a watched attempt that was sent, and reports whether it was a
// success that took too long to be a good sign.
func (l *Limiter) Leave(a Attempt, now time.Duration, s Signal) (slow bool) {
	l.inFlight.Add(-1)
	if s == None {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t, latency := l.baseline.scale(a.Limit), now-a.Start
	l.turn(now, t)
	if s == Timeout && latency < t/2 {
		return false // the caller had little time, which proves nothing
	}
	e, weight := &l.epoch, int(l.sampling.Load())
	e.finished += weight
	if s == Timeout {
		e.late++
		if a.Start < l.newest {
			return false // overtaken: it hangs, it does not queue
		}
		if a.Priority != Retry {
			l.timeouts++ // further attempts of a call show nothing new
		}
		if l.open() && l.timeouts >= l.proof(float64(weight)) {
			l.engage(now)
		}
		return false
	}
	if e.responses++; e.responses == 1 || latency < e.fastest {
		e.fastest = latency
	}
	switch s {
	case Failed:
		return false
	case Shed:
		// The service keeps its own queue short, so its clients need not. One shed
		// offsets one timeout only: a few refusals among many requests that get
		// no response protect nothing.
		e.shed++
		l.timeouts = max(l.timeouts-1, 0)
		l.widen(1)
		return false
	}
	e.successes += weight
	l.baseline.add(now, latency)
	if l.baseline.slow(latency, t) {
		e.slow++
		if latency <= t/4 {
			l.widen(1 / max(l.window, 1))
		}
		return true
	}
	e.fast++
	l.timeouts, l.fastAt, l.newest = 0, now, max(l.newest, a.Start)
	if l.open() {
		l.peak = max(l.peak*0.9995, float64(a.InFlight))
		l.free.Store(int64(l.threshold()))
	}
	l.widen(1)
	return false
}

// proof is how many calls that time out in a row prove an overload. The number
// follows the rate, so that a few requests that hang prove nothing. Clients that
// call seldom need fewer: many such clients would otherwise send a lot of
// requests before they know. The least is three, so that one hung replica of two
// seldom looks like an overload.
func (l *Limiter) proof(weight float64) int {
	return int(min(max(l.attemptRate/4/weight, min(3+l.attemptRate/2, 7)), 50))
}

func (l *Limiter) engage(now time.Duration) {
	l.window = max(1, min(float64(l.inFlight.Load()), l.peak)/2)
	l.free.Store(-1)
	l.sampling.Store(1)
	l.probeAt = now + l.upTo(probeTime)
}

// widen makes room, and opens the limiter if that is more than it ever needed.
func (l *Limiter) widen(by float64) {
	if l.open() {
		return
	}
	if l.window += by; l.window > l.threshold() {
		l.window, l.timeouts, l.standing = math.Inf(1), 0, 0
		l.free.Store(int64(l.threshold()))
	}
}

func (l *Limiter) open() bool         { return math.IsInf(l.window, 1) }
func (l *Limiter) threshold() float64 { return max(spare, 2*l.peak) }

// upTo returns a random duration in [0, d).
func (l *Limiter) upTo(d time.Duration) time.Duration {
	return time.Duration(l.chance() * float64(d))
}

// Engaged reports whether the limiter is engaged. Unlike State it takes no lock.
func (l *Limiter) Engaged() bool { return l.free.Load() < 0 }

// State returns a look at the limiter, out of date as soon as it is returned.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Engaged: !l.open(), Window: l.window, InFlight: int(l.inFlight.Load())}
}

// Idle reports whether the limiter can be dropped: nothing is in flight, and
// nothing was seen for a minute, after which an overload is no longer proved.
func (l *Limiter) Idle(now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight.Load() == 0 && now-max(l.fastAt, l.epoch.start) > idleAfter
}
