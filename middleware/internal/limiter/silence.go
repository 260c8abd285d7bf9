package limiter

import (
	"math"
	"time"
)

const (
	mostOf = .75 // of a limit
	weakly = .5  // of the answers that the handler is known to give
)

// silence is what to do about a handler that is full and answers nobody.
type silence struct {
	tried time.Duration // when one more was last let in
}

// short is told that there is no room, and reports whether the limit has changed.
func (a *adaptiveLimit) short(now time.Duration) bool {
	if a.fixed {
		return false
	}
	before, quiet := a.limit, now-a.last
	bearable := a.bounded(a.bearable())
	switch {
	case a.last == 0:
		// As long as no request has completed, no number of them is known to be too many.
		a.limit = a.bounded(2 * a.limit)
	case a.limit < bearable && a.slower(quiet):
		// As many may come in as are in flight when clients wait for as long as they bear.
		a.limit = math.Min(2*a.limit, bearable)
	case now-a.silence.tried > a.longQuiet() && a.silent(now):
		// It stands still, or those in it hang. One more will tell.
		a.silence.tried = now
		a.limit = a.bounded(a.limit + 1)
	}
	return a.limit > before
}

// slower reports whether the handler may have become slower, as nobody has been answered
// for some time. But a line, too, has pauses, so where there may be one, most of those
// in flight must have come since.
func (a *adaptiveLimit) slower(quiet time.Duration) bool {
	return !a.trials.on && a.asked <= asMuch*a.calm.most && quiet > 20*time.Millisecond+time.Duration(2e9*a.usual) &&
		(!a.succession.orderly(a.trials.base) || a.asked*quiet.Seconds() >= mostOf*a.limit)
}

// silent reports whether nobody has been answered for so long that the handler stands
// still, or those in it hang.
func (a *adaptiveLimit) silent(now time.Duration) bool { return now-a.last > a.longQuiet() }

// weak reports whether the handler answers nobody, or less than half as many as it served
// while nothing was late. Clients that hold calls back come later than they are told, so
// that only of a weak handler their absence shows that they are served elsewhere.
func (a *adaptiveLimit) weak(now time.Duration) bool {
	return a.silent(now) || a.work < weakly*a.calm.most
}

// longQuiet is how long nobody is answered before the handler is taken to stand still.
func (a *adaptiveLimit) longQuiet() time.Duration {
	return max(250*time.Millisecond, time.Duration(5e9*math.Min(a.usual, a.latency)))
}

// answered takes in a completion after a silence, and reports whether the limit has
// changed.
func (a *adaptiveLimit) answered(c Completion) (moved bool) {
	tried := a.silence.tried
	a.silence.tried = 0
	if tried == 0 || c.At-c.Took < tried || c.Outcome != Served || c.Took.Seconds() > 2*a.usual {
		return false
	}
	a.limit, a.why = a.bounded(math.Ceil(growth*a.limit)), "others hang, and one more was as quick as ever"
	return true
}
