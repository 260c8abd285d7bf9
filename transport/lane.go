package transport

import (
	"math"
	"time"
)

// A lane is the rule for attempts after the server has refused one for now. None are sent
// until the time that it named, then one, and one more at a time for each that is not
// refused. Two things are remembered of the time before a refusal, if they are known:
//
//   - How many were sent. As many are sent at once, and then one at a time again, so that
//     a quota of so many costs one refusal.
//   - The rate. The next begins with 0.7 of it and grows as in CUBIC (RFC 9438): slowly
//     near that rate, fast when it is left behind. So a server that rounds up to whole
//     seconds is not asked once a second.
type lane struct {
	told   time.Duration // the server asked to wait until then
	opens  time.Duration // told, and a little later by chance
	closed time.Duration // when it was closed; what was sent before shows nothing new
	before time.Duration // when it had opened before that
	rest   time.Duration // how long the server asked to wait
	busy   time.Duration // when somebody last had to wait

	latest time.Duration // when the newest attempt was sent
	grace  time.Duration // after which one passes for one that is not refused
	out    int           // sent, and neither refused nor not
	passed int           // since it opened
	total  int           // sent since it opened

	granted int     // sent before the last refusal; 0 if not known
	rate    float64 // then, per second; 0 if not known
}

const (
	firstGrace    = 250 * time.Millisecond
	shortestGrace = 20 * time.Millisecond
	longestGrace  = time.Second

	slowdown   = 0.7
	longestLap = 30 * time.Second // in which the rate grows
)

// newLane returns one that is open but careful.
func newLane(now, rest time.Duration) lane {
	return lane{told: now, opens: now, rest: rest, grace: firstGrace}
}

// free reports whether nobody has had to wait for as long as the server had asked to, so
// that it limits nothing any more.
func (l *lane) free(now time.Duration) bool {
	return now >= max(l.opens, l.busy)+max(l.rest, time.Second)
}

// next returns when another attempt may be sent.
func (l *lane) next(now time.Duration) (at time.Duration, known bool) {
	if l.free(now) {
		return now, true
	}
	if now >= l.latest+l.grace {
		l.passed, l.out = l.passed+l.out, 0
	}
	at = l.opens
	if l.total > 0 && l.rate > 0 {
		at = max(at, l.latest+time.Duration(float64(time.Second)/l.rateAt(now)))
	}
	if l.out >= l.room() {
		at = max(at, l.latest+l.grace)
	}
	if at > now {
		l.busy = now
		return at, true
	}
	return now, true
}

// room is how many may be out.
func (l *lane) room() int {
	switch {
	case l.granted == 0 || l.passed == 0:
		return 1 + l.passed
	case l.total < l.granted:
		return math.MaxInt
	}
	return 1 + max(l.passed-l.granted, 0)
}

// rateAt is how many may be sent per second.
func (l *lane) rateAt(now time.Duration) float64 {
	lap := min(max(8*l.rest, time.Second), longestLap).Seconds()
	x := (now-l.opens).Seconds()/lap - math.Cbrt(1-slowdown)
	return l.rate * (1 + x*x*x)
}

func (l *lane) take(now time.Duration) {
	l.latest = now
	l.out++
	l.total++
}

// pass records a response that is no refusal to an attempt that was sent at the given
// time.
func (l *lane) pass(sent time.Duration) {
	if sent >= l.opens && l.out > 0 {
		l.out--
		l.passed++
	}
}

// refused records that the server told an attempt to wait. A little is added to the wait,
// since others may have been told the same moment.
func (l *lane) refused(sent, now, wait, little time.Duration) {
	if sent > 0 {
		l.grace = min(max(2*(now-sent), shortestGrace), longestGrace)
	}
	l.told = max(l.told, now+wait)
	if sent < l.closed { // with the one that closed it
		l.opens, l.rest = max(l.opens, now+wait+little), max(l.rest, wait)
		if sent >= l.before && l.granted > 1 {
			l.granted--
		}
		return
	}
	if open := now - l.opens; l.total > 1 && open > 0 {
		if l.rate > 0 {
			l.rate = l.rateAt(now)
		} else {
			l.rate = float64(l.total) / open.Seconds()
		}
	}
	l.before, l.closed = l.opens, now
	l.opens, l.rest = now+wait+little, wait
	l.granted = max(l.total-1, 0)
	l.out, l.passed, l.total = 0, 0, 0
}
