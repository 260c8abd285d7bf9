package guard

import (
	"math"
	"time"
)

// A Limiter limits the attempts in flight to one service. It is not safe for
// concurrent use: the caller holds a lock, and counts what is in flight. Make one
// with [New].
type Limiter struct {
	chance   func() float64
	window   float64 // how many may be in flight; infinite while open
	peak     float64 // the most in flight while responses came, slowly forgotten
	latency  latency
	calls    rate
	refusals refusals
	flight   flight
	queue    queue

	newest    time.Duration // when the newest attempt was sent that succeeded
	responded time.Duration // when the last response came that is not a refusal
	succeeded time.Duration // when the last success came
	silentAt  time.Duration // when the first attempt was sent after such a response; -1: no attempt was sent
	timeouts  int           // calls in a row that timed out and that none overtook
	cutAt     time.Duration // when the window was last cut
	trial     bool          // it was cut to find out what a response takes alone
	last      last          // successes since
	told      told
	toldAt    time.Duration // when the service last told of a queue; 0: never
	probeAt   time.Duration // when the next probe is due
	probes    int           // in a row without a success

	epoch    epoch
	before   epoch         // the last one with enough responses
	beforeAt time.Duration // when it ended
	growing  int           // epochs in a row in which a queue grew too fast
}

const (
	spare     = 8   // attempts in flight that are never a reason to wait
	shut      = 0.5 // the window that only probes pass
	alone     = 2   // the window in which an attempt is hardly in a queue
	leastGap  = 500 * time.Millisecond
	mostGap   = 16 * time.Second
	leastLook = 100 * time.Millisecond // epoch
)

// New returns an open Limiter. The func chance returns random numbers in [0, 1).
func New(chance func() float64) *Limiter {
	return &Limiter{chance: chance, window: math.Inf(1), silentAt: -1}
}

// A Signal is what an attempt shows of the load of the service.
type Signal int8

const (
	None    Signal = iota // nothing: it failed on its own, or the caller gave up
	Failed                // an error response: the service is up but did no work
	Shed                  // a refusal of the service that says when to come back, or not to
	Success               // a response that is worth the work, however slow
	Timeout               // no response in time
)

// An Attempt is one that the limiter judges.
type Attempt struct {
	Start time.Duration // when it was sent
	Scale Scale         // of its call
	First bool          // of its call

	// Queued is how long the request waited for room at the service, as the service says
	// when it responds. 0: it does not say.
	Queued time.Duration
}

// Engaged reports whether there is a limit.
func (l *Limiter) Engaged() bool { return !math.IsInf(l.window, 1) }

// Window is how many attempts may be in flight: +Inf while open, and less than 1
// while only probes are sent.
func (l *Limiter) Window() float64 { return l.window }

// Free is the number in flight below which an attempt is sent without asking: -1 while
// engaged.
func (l *Limiter) Free() int {
	if l.Engaged() {
		return -1
	}
	return int(l.free())
}

func (l *Limiter) free() float64 { return max(spare, 2*l.peak) }

// Rate is how many calls there are per second.
func (l *Limiter) Rate() float64 { return l.calls.perSecond }

// Arrive counts n new calls.
func (l *Limiter) Arrive(now time.Duration, n int) { l.calls.add(now, n) }

// Doubtful reports whether timeouts are the last thing that was seen.
func (l *Limiter) Doubtful() bool { return l.timeouts > 0 }

// Hopeful reports whether a success may be seen within d: something is in flight,
// or a call is likely to come.
func (l *Limiter) Hopeful(d time.Duration, inFlight int) bool {
	return inFlight > 0 || l.Rate()*d.Seconds() >= 1
}

// Admit reports whether an attempt may be sent beside so many in flight. Where
// there is no room a probe may be sent at times, or nothing would show that the
// service responds again.
func (l *Limiter) Admit(now time.Duration, s Scale, inFlight int) bool {
	if l.Engaged() && now < l.refusals.until {
		return false
	}
	silent := l.silent(now, s.T)
	if l.full(inFlight, silent) {
		// Responses to what is in flight show as much as a probe would.
		if now < l.probeAt || !silent && l.window >= 1 {
			return false
		}
		l.probeAt = now + l.nextProbe(s.T)
	}
	if l.silentAt < 0 {
		l.silentAt = now
	}
	if l.Engaged() {
		l.flight.add(now, 1)
	}
	return true
}

func (l *Limiter) full(inFlight int, silent bool) bool {
	if !l.Engaged() {
		// Nobody knows what the silence means, so no more are sent than usual.
		return silent && float64(inFlight) >= l.free()
	}
	return float64(l.flight.working(inFlight))+1 > l.window
}

// silent reports whether there was no response for longer than is usual.
func (l *Limiter) silent(now, t time.Duration) bool {
	return l.silentAt >= 0 && l.latency.known() && now-l.silentAt > max(t/4, time.Duration(2*l.latency.typical))
}

// flows reports whether responses come since the window was cut. A refusal is one here: the
// service is at work, on what is more urgent.
func (l *Limiter) flows(now, t time.Duration) bool {
	last := max(l.succeeded, l.refusals.last)
	return last > l.cutAt && now-last <= epochOf(t)
}

// nextProbe is the time until the next probe.
func (l *Limiter) nextProbe(t time.Duration) time.Duration {
	if !l.Engaged() {
		return epochOf(t)
	}
	gap := l.gap()
	l.probes++
	return l.about(gap)
}

// about is d, by chance a quarter more or less.
func (l *Limiter) about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + l.chance()/2))
}

// gap is the mean time between probes: as 20 calls take if they are frequent, as
// 4 calls take if they are not. The first few come sooner.
func (l *Limiter) gap() time.Duration {
	perSecond := max(l.Rate(), 0.01)
	gap := min(20/perSecond, max(2, 4/perSecond))
	if l.probes < 3 {
		gap = min(gap, float64(int(1)<<l.probes)/perSecond)
	}
	return min(max(time.Duration(gap*float64(time.Second)), leastGap), mostGap)
}

// Done ends an attempt that leaves so many in flight.
func (l *Limiter) Done(a Attempt, now time.Duration, inFlight int, s Signal) {
	if l.Engaged() {
		l.flight.add(a.Start, -1)
	}
	if s == None {
		return
	}
	l.turn(a.Scale, now, inFlight)
	if s == Timeout {
		l.timeout(a, now, inFlight)
		return
	}
	if s == Shed {
		l.shed(a, now, inFlight)
		return
	}
	l.silentAt = -1
	l.responded = now
	if s == Failed {
		return
	}
	a.Queued = min(a.Queued, now-a.Start)
	if a.Queued > 0 {
		l.toldAt = now
	}
	l.epoch.add(now, now-a.Start, a.Queued, l.newest-a.Start, a.Scale.T)
	l.refusals.served(a, now, time.Duration(l.latency.typical), l.window)
	l.latency.add(now, now-a.Start, a.Queued, l.Engaged())
	l.newest, l.succeeded = max(l.newest, a.Start), now
	l.timeouts, l.probes = 0, 0
	if l.Engaged() {
		if d := now - l.flight.since; l.Slow(d, a.Scale) && float64(d) > 5*l.latency.recent {
			l.flight.overtake(a.Start, now)
		}
		l.grow(a, now, inFlight)
	} else if float64(now-a.Start) <= 5*l.latency.typical {
		l.peak = max(l.peak*0.9995, float64(inFlight+1))
	}
}

// timeout counts an attempt that timed out, unless that proves nothing.
func (l *Limiter) timeout(a Attempt, now time.Duration, inFlight int) {
	switch t := a.Scale.T; {
	case a.Scale.Brief || now-a.Start < t*9/10:
		return // it had too little time
	case a.Start < l.newest:
		return // it was overtaken: it hangs, it does not queue
	case a.First || l.Rate()*t.Seconds() < 1:
		l.timeouts++ // more attempts of a call show nothing new, unless calls are rare
	}
	if a.Start > l.cutAt {
		l.refusals.only = false
	}
	switch {
	case !l.Engaged():
		if l.timeouts >= l.proof() {
			l.engage(now, float64(inFlight)/2)
		}
	case l.responded < l.cutAt && now-l.cutAt >= epochOf(a.Scale.T), a.Start > l.cutAt:
		l.cut(now, l.window/2)
	}
}

// proof is how many calls in a row prove that the service is over capacity. It is
// the calls of a quarter of a second, so that a few requests that hang prove
// nothing. Clients that call seldom need fewer calls: otherwise many such clients would
// together send a lot before they know.
func (l *Limiter) proof() int {
	perSecond := l.Rate()
	return int(min(max(perSecond/4, min(3+perSecond/2, 7)), 50))
}

func (l *Limiter) engage(now time.Duration, window float64) {
	l.refusals.engaged, l.refusals.at, l.refusals.only = 0, 0, false
	l.probeAt, l.growing, l.told = now, 0, told{}
	l.latency.least = 0
	l.flight.begin(now)
	l.cut(now, max(window, 1))
}

func (l *Limiter) cut(now time.Duration, window float64) {
	if window <= 1 {
		l.latency.least = 0
	}
	l.window, l.cutAt, l.last = max(window, shut), now, last{}
}

func (l *Limiter) open() { l.window, l.refusals.engaged = math.Inf(1), 0 }

// grow changes the window by a success, and opens the limiter if half of it is not used.
func (l *Limiter) grow(a Attempt, now time.Duration, inFlight int) {
	took, least := now-a.Start, &l.latency.least
	if l.trial && a.Start < l.cutAt {
		return
	}
	l.trial = false
	if a.Start >= l.cutAt && (*least == 0 && l.window <= alone || took < *least) {
		*least = took
	}
	if !l.follow(a, now, inFlight) {
		l.widen(a, now, took)
	}
	// Not with calls waiting, who would all come at once.
	if l.Waiting() == 0 && l.window >= spare && float64(l.flight.working(inFlight)) <= l.window/2 {
		l.open()
	}
}

// widen makes room by the latency of a success: for one more, which doubles the window in
// a round trip, while there is hardly a queue; for one more in a round trip while there is
// a short one; and else for a little. Slow responses may come from a queue or from slow
// work. The window is cut once to find out: with next to nothing in flight there is no
// queue. In a queue all responses are slow, so the fastest of a few shows how long it is.
// One that is very slow itself makes less room. A service that refused requests, and
// refuses none now, has room. So has one that has told of its queue and tells of none now,
// until it is known what a response takes alone: then that says more.
func (l *Limiter) widen(a Attempt, now, took time.Duration) {
	least := &l.latency.least
	usual := max(*least, time.Duration(l.latency.typical))
	room := max(a.Scale.T-usual, 0)
	refused := l.refusals.at > 0 && now-l.refusals.at <= a.Scale.T
	long := took-usual > room/2
	hasRoom := l.refusals.only || *least == 0 && l.toldNone(a, now)
	switch queued := l.last.fastest(took) - usual; {
	case l.refusals.pause > 0 && l.window >= 1: // it is asked more often instead
	case queued > room/2 && *least == 0 && !hasRoom && a.Start-max(l.cutAt, l.refusals.at) >= a.Scale.T:
		l.cut(now, alone)
		l.trial = true
	case !refused && (queued <= room/8 && !long || queued > room/2 && hasRoom):
		l.window++
	case queued <= room/2 && !refused:
		l.window += 1 / max(l.window, 1)
	default:
		l.window += 0.25 / max(l.window, 1)
	}
}
