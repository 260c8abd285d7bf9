package transport

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A valve limits the attempts in flight to one service once they prove that it
// is overloaded, and only then.
//
// A service that has fallen behind answers requests whose clients have gone.
// It stays behind as long as they go on asking at the rate it was built for,
// however few retries there are (Bronson et al., "Metastable Failures in
// Distributed Systems", HotOS 2021). What ends it is asking less until answers
// are fast again. A client sees both from its own answers: timeouts without a
// fast success in between, or a queue, where even the fastest answer is slow.
// Errors prove nothing: they are the breaker's business.
type valve struct {
	service  string
	inFlight atomic.Int64
	calm     atomic.Int64  // so many may be in flight unasked; -1 while engaged
	every    atomic.Uint32 // one of so many first attempts is looked at; a power of two

	mu      sync.Mutex // guards what follows
	window  float64    // how many may be in flight; infinite while open
	base    float64    // running median of the latency of successes, in ns
	known   int        // successes seen, up to warm
	baseAt  time.Duration
	peak    float64       // the most in flight while answers were fast
	run     int           // calls in a row that timed out at first, and no fast one overtook
	passed  time.Duration // when the newest attempt was sent that was fast
	fastAt  time.Duration // when the last fast answer came
	probeAt time.Duration // when the next probe is due while the window is shut

	epoch    epoch
	standing int // epochs in a row with a standing queue
	fastest  time.Duration
	answers  float64 // per second, timeouts among them
	success  float64 // per second
}

// An epoch is the time after which the valve looks at what came.
type epoch struct {
	start               time.Duration
	fast, slow, late    int
	shed                int
	answers             int
	fastest             time.Duration
	successes, finished int
}

const (
	warm      = 20   // successes until base and rates mean something
	roomy     = 8    // never a reason to hold back
	enough    = 1000 // attempts per second to look at
	shut      = 0.5
	shortest  = 100 * time.Millisecond // of epochs
	probeTime = 2 * time.Second
	probeOdds = 0.05
	idleAfter = time.Minute
)

func newValve(service string) *valve {
	v := &valve{service: service, window: math.Inf(1)}
	v.calm.Store(roomy)
	v.every.Store(1)
	return v
}

// overlooks reports whether the valve can do without a look at an attempt. That
// is what keeps it cheap: of a thousand per second it sees each, of more than
// that as many as it needs.
func (v *valve) overlooks() bool {
	every := v.every.Load()
	return every > 1 && rand.Uint32()&(every-1) != 0
}

// A claim is what an attempt has to a place in flight.
type claim int8

const (
	claimFirst claim = iota // of a call
	claimLater              // of a call whose attempts failed
	claimAgain              // of a call that was held back before anything was sent
)

// enter asks for the last of n in flight, which has been counted. It returns nil
// if there is room.
func (v *valve) enter(n int64, now, limit time.Duration, c claim) *GuardError {
	if n <= v.calm.Load() && c != claimAgain {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.scale(limit)
	v.turn(now, t)
	if v.admits(now, t, float64(n), c) {
		return nil
	}
	v.inFlight.Add(-1)
	return &GuardError{Service: v.service, RetryIn: max(v.epoch.start+epochOf(t)-now, time.Millisecond), scale: t}
}

func (v *valve) admits(now, t time.Duration, n float64, c claim) bool {
	switch {
	case !v.open():
		// A new call comes first: it has the most time left.
		if n <= v.window && (c == claimFirst || n <= v.window/2 || n <= 1 && v.window > 1) {
			return true
		}
	case c == claimAgain:
		// Not all at once that have waited.
		return n <= v.threshold()/2
	default:
		// More than this cannot be answered in time, by Little's law. It is
		// asked only where answers stay out, and of an unusual crowd.
		return now-v.fastAt <= t/4 || v.known < warm || n <= v.threshold() ||
			n <= 0.9*t.Seconds()*v.success
	}
	// The way back must always be found; but calls that ask again and again
	// must not make more of it than there are calls, unless nobody else comes.
	switch {
	case v.window > 1:
		return false
	case c != claimFirst && now < v.probeAt+probeTime/2:
		return false
	case now < v.probeAt && rand.Float64() >= probeOdds:
		return false
	}
	v.probeAt = now + probeTime/2 + rand.N(probeTime/2)
	return true
}

// leave reports what an attempt showed that entered with n in flight, the first
// of its call or a later one, and returns whether that is a success which took
// too long to be a good sign.
func (v *valve) leave(start, now, limit time.Duration, n int64, first bool, seen sight) (slow bool) {
	v.inFlight.Add(-1)
	if seen == sightNothing {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	t, latency := v.scale(limit), now-start
	v.turn(now, t)
	if seen == sightTimeout && latency < t/2 {
		return false // of a caller who had little time: no proof
	}
	e, stands := &v.epoch, int(v.every.Load()) // for so many it stands
	e.finished += stands
	if seen == sightTimeout {
		e.late++
		if start < v.passed {
			return false // one sent later was answered: this one hangs, it does not queue
		}
		if first {
			v.run++ // the others of the call tell nothing new
		}
		if v.open() && v.run >= v.proof(float64(stands)) {
			v.engage(now)
		}
		return false
	}
	if e.answers++; e.answers == 1 || latency < e.fastest {
		e.fastest = latency
	}
	switch seen {
	case sightAnswer:
		return false
	case sightShed:
		// The server keeps its own queue short, so it is not for its clients to
		// do. It weighs as much as a timeout: a few refusals among many requests
		// that go astray are no protection.
		e.shed++
		v.run = max(v.run-1, 0)
		v.widen(1)
		return false
	}
	e.successes += stands
	v.learn(now, latency)
	if float64(latency) > max(5*v.base, float64(t)/20) {
		e.slow++
		if latency <= t/4 {
			v.widen(1 / max(v.window, 1))
		}
		return true
	}
	e.fast++
	v.run, v.fastAt, v.passed = 0, now, max(v.passed, start)
	if v.open() {
		v.peak = max(v.peak*0.9995, float64(n))
		v.calm.Store(int64(v.threshold()))
	}
	v.widen(1)
	return false
}

// proof is how many calls that time out in a row prove an overload: as many as
// there are answers in a quarter of a second, but those of a few that hang are
// none. Who calls seldom goes by less, or a service with many such clients would
// have seen all of them time out many times before they know; by no less than
// three, so that one hung replica of two seldom looks like an overload.
func (v *valve) proof(stands float64) int {
	return int(min(max(v.answers/4/stands, min(3+v.answers/2, 7)), 50))
}

// turn closes the epoch if it is over.
func (v *valve) turn(now, t time.Duration) {
	e := v.epoch
	took := now - e.start
	if took < epochOf(t) {
		return
	}
	v.epoch = epoch{start: now}
	weight := 1 - math.Exp(-took.Seconds())
	v.answers += (float64(e.finished)/took.Seconds() - v.answers) * weight
	v.success += (float64(e.successes)/took.Seconds() - v.success) * weight

	stands := e.answers >= 3 && e.fastest > t/2 && e.fastest >= v.fastest*9/10
	v.fastest = e.fastest
	if stands {
		v.standing++
	} else {
		v.standing = 0
	}
	switch {
	case v.open():
		v.every.Store(1 << min(bits.Len(uint(v.answers/enough)), 10))
		if v.standing >= 2 {
			v.engage(now)
		}
	case e.fast == 0 && (stands || e.late > e.slow+e.shed):
		v.window = max(v.window/2, shut)
	}
}

func (v *valve) engage(now time.Duration) {
	v.window = max(1, min(float64(v.inFlight.Load()), v.peak)/2)
	v.calm.Store(-1)
	v.every.Store(1)
	v.probeAt = now + rand.N(probeTime)
}

// widen makes room, and opens the valve where that is more than was needed.
func (v *valve) widen(by float64) {
	if v.open() {
		return
	}
	if v.window += by; v.window > v.threshold() {
		v.window, v.run, v.standing = math.Inf(1), 0, 0
		v.calm.Store(int64(v.threshold()))
	}
}

// learn moves base toward a latency. Its steps are bounded per answer and in
// time, so that a crowd of slow answers does not become what is usual.
func (v *valve) learn(now, latency time.Duration) {
	step := min(0.02, 0.2*(now-v.baseAt).Seconds())
	if v.known < warm {
		v.known++
		step = 0.2
	}
	v.baseAt = now
	switch {
	case v.base == 0:
		v.base = float64(latency)
	case float64(latency) > v.base:
		v.base *= 1 + step
	default:
		v.base *= 1 - step
	}
	v.base = max(v.base, float64(time.Microsecond))
}

// scale is the time after which an answer is of no use: AttemptTimeout, or
// where there is none a multiple of what is usual. A service that answers in
// no time is not overloaded because the client itself is short of time.
func (v *valve) scale(limit time.Duration) time.Duration {
	if limit > 0 {
		return limit
	}
	return min(max(time.Duration(20*v.base), time.Second), 30*time.Second)
}

func epochOf(t time.Duration) time.Duration { return max(shortest, t/4) }

func (v *valve) open() bool         { return math.IsInf(v.window, 1) }
func (v *valve) threshold() float64 { return max(roomy, 2*v.peak) }

// idle reports whether the valve holds nothing that would be missed. An overload
// that nobody has looked at for so long is no longer proved.
func (v *valve) idle(now time.Duration) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.inFlight.Load() == 0 && now-max(v.fastAt, v.epoch.start) > idleAfter
}
