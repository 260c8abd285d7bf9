package limiter

import (
	"math"
	"time"
)

const (
	mostOf = .75 // of a limit
	weakly = .5  // of the answers that the handler is known to give
	seldom = 3   // times as long as a standstill it has to be since the one before
)

// silence is what to do about a handler that is full and answers nobody.
type silence struct {
	tried time.Duration // when one more was last let in

	from, until time.Duration // the last time in which nothing was completed for long
	stood       bool          // the handler stood still in it
	counts      bool          // and seldom does
	over        time.Duration // when it last had stood still; 0: it never did
}

// short is told that there is no room, and reports whether the limit has changed.
func (a *adaptiveLimit) short(now time.Duration) bool {
	if a.fixed {
		return false
	}
	before, quiet := a.limit, now-a.last
	bearable := a.bounded(a.bearable())
	switch {
	case a.last == 0 || a.usual == 0 && quiet > 20*time.Millisecond+time.Duration(2e9*a.window.early()):
		// As long as none has completed that takes as long, no number of them is known to be too many.
		a.limit = a.bounded(2 * a.limit)
	case a.usual == 0 && a.limit < startMost && (a.window.overtook || a.windows > 0):
		// They do not stand in a line of one, or there were only errors, which tell nothing of it.
		a.limit = a.bounded(math.Min(2*a.limit, startMost))
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

// standstill takes in a completion, before which nothing was completed since a.last. The
// handler stood still if that was for long, and if one that is completed after it was in the
// handler for more than half of it. A handler that does so again and again has not stood
// still: that is how it works.
func (a *adaptiveLimit) standstill(c Completion) {
	q, w := &a.silence, &a.window
	if c.At-a.last > a.longQuiet() {
		q.from, q.until, q.stood, q.counts = a.last, c.At, false, false
	}
	came, lasted := c.At-c.Took, q.until-q.from
	if !q.stood && q.from >= w.since && came < q.from+lasted/2 {
		q.stood, q.counts = true, q.over == 0 || q.until-q.over > seldom*lasted
		q.over = q.until
		if q.counts {
			w.stood += lasted
		}
	}
	w.stuck = w.stuck || q.counts && came < q.until
}

// completing is how many requests per second are completed, with those of a window. That the
// handler completed none while it stood still says nothing of how many it completes now, and
// clients that are refused now would be told to come back much too late. Nor does it
// complete more because those that were stuck are over at once.
func (a *adaptiveLimit) completing(w *window) float64 {
	seconds := math.Max(w.seconds-w.stood.Seconds(), 1e-6)
	work := a.work + (w.rate()*w.seconds/seconds-a.work)*(1-math.Exp(-seconds))
	if w.stuck {
		return math.Min(work, a.work)
	}
	return work
}
