package limiter

import (
	"math"
	"time"
)

const (
	windowTime  = 100 * time.Millisecond // a window is at least that long
	windowCount = 50                     // and has that many completions,
	slowTime    = 500 * time.Millisecond // or after that long
	slowCount   = 10                     // only that many
	trialTime   = time.Second            // in a trial, however few
	firstCount  = 16                     // requests that met an empty handler: the first window
	firstMost   = 12                     // most of them
	startTime   = 5 * time.Second        // that the first window takes, if others end and the first do not
	sampleCount = 200                    // completions in windowTime that have to be measured
	mostEvery   = 16                     // requests, of which one is measured

	wasteful = .1  // share of the requests whose clients had left
	little   = .05 // is what an answer is worth that comes too late, if one in time is worth 1
	oldShare = .2  // of requests from before a step, in a window that tells of it
)

// window is what happened for some time.
type window struct {
	since               time.Duration
	seconds             float64
	n                   int     // completions that were measured
	all                 float64 // that they stand for
	others              int     // that came before the first requests had completed
	left                int     // of them, whose clients had left
	tookOthers          float64 // s, that they took
	overtook            bool    // one of them was served
	gone                int     // clients had left
	tooLate             int     // for clients of which it is not known how long they wait
	failed              int
	stale               int     // admitted before the limit was moved
	took                float64 // s
	squares             float64
	times               histogram // of those that did not fail
	inFlight            float64   // sum
	most                int       // in flight
	firstIn, lastIn     int       // in flight at the first completion, and at the last
	firstQueued, queued int       // in the queue then
	asked               float64   // requests that came, known at its end
	shed                int
	waiting             bool          // requests waited for a slot
	retries             int           // of the completions
	joined, again       int           // that found no room when they came, and those of them that were retries
	stood               time.Duration // in which the handler stood still: see standstill
	stuck               bool          // requests were completed that came before that was over
}

// add takes in a completion.
func (w *window) add(c Completion, queued int, changed time.Duration) {
	if w.n == 0 {
		w.firstIn, w.firstQueued = c.InFlight, queued
	}
	w.lastIn, w.queued = c.InFlight, queued
	w.n++
	w.all += float64(c.Slot.Weight)
	s := c.Took.Seconds()
	w.took += s
	w.squares += s * s
	w.inFlight += float64(c.InFlight)
	w.most = max(w.most, c.InFlight)
	w.waiting = w.waiting || c.Waiting
	if c.At-c.Took-c.Paused < changed {
		w.stale++
	}
	if c.Retry {
		w.retries++
	}
	switch c.Outcome {
	case Failed:
		w.failed++
		return
	case Gone:
		w.gone++
	}
	w.times.add(c.Took.Seconds())
}

// closes reports whether the window has seen enough. The first one has its own rule: see starts.
func (w *window) closes(now time.Duration, first, trying bool) bool {
	elapsed := now - w.since
	if first {
		return w.starts(elapsed)
	}
	return elapsed >= windowTime && (w.n >= windowCount || w.n >= slowCount && (elapsed >= slowTime || trying)) ||
		trying && elapsed >= trialTime
}

// starts reports whether the first window has seen enough. It waits for the first requests,
// but not for thirty times as long as most of them took.
func (w *window) starts(elapsed time.Duration) bool {
	return w.n >= firstCount || w.n >= firstMost && elapsed.Seconds() >= 30*w.latency() || w.outrun(elapsed)
}

// outrun reports whether the first window does not wait for the first requests any longer:
// most clients leave, or other requests end before the first ones do, as on processors that are
// shared by ever more of them.
func (w *window) outrun(elapsed time.Duration) bool {
	ended := w.n + w.others
	return w.n > w.failed && (ended >= firstCount && w.leaves() || ended >= windowCount && elapsed >= startTime)
}

// early is how long the requests took that are over before an answer has been judged, on
// average.
func (w *window) early() float64 {
	return (w.took + w.tookOthers) / math.Max(1, float64(w.n+w.others))
}

// leaves reports whether most clients of the first window have left.
func (w *window) leaves() bool { return 2*(w.gone+w.left) > w.n+w.others }

// alone is the usual latency of the first requests, which met hardly any others. Those
// that are not over take at least as long as has passed. But where the others take much
// less, the first ones poll or hang.
func (w *window) alone() float64 {
	if w.n >= firstMost || w.others == 0 {
		return w.usual()
	}
	return math.Min(w.seconds, 3*w.tookOthers/float64(w.others))
}

// merge adds another window.
func (w *window) merge(v *window) {
	w.seconds += v.seconds
	w.n += v.n
	w.all += v.all
	w.gone += v.gone
	w.tooLate += v.tooLate
	w.failed += v.failed
	w.took += v.took
	w.squares += v.squares
	w.inFlight += v.inFlight
	w.shed += v.shed
	w.retries += v.retries
	w.joined += v.joined
	w.again += v.again
	w.asked += v.asked
	w.times.merge(&v.times)
}

// rate is how many answers per second there were.
func (w *window) rate() float64 {
	return w.all * w.sound() / w.seconds
}

// sound is the share that did not fail.
func (w *window) sound() float64 { return float64(w.n-w.failed) / float64(w.n) }

// served is how many got an answer in time.
func (w *window) served() int { return w.n - w.failed - w.gone - w.tooLate }

// timely is the share of the answers that came in time.
func (w *window) timely() float64 { return float64(w.served()) / float64(w.n-w.failed) }

// mostUseful reports whether most answers came in time.
func (w *window) mostUseful() bool { return 2*w.served() >= w.n-w.failed }

// calls is the part of the requests that are no retries, by those that found no room or by
// those that have left, whichever has more retries.
func (w *window) calls() float64 {
	part := 0.0
	if w.joined >= leastArm {
		part = float64(w.again) / float64(w.joined)
	}
	if w.n >= leastArm {
		part = math.Max(part, float64(w.retries)/float64(w.n))
	}
	return 1 - part
}

// useful is how many answers per second came in time. The others count a little, so that
// where none comes in time, more of them are better than fewer.
func (w *window) useful() float64 {
	worth := float64(w.served()) + little*float64(w.gone+w.tooLate)
	return w.all * worth / float64(w.n) / w.seconds
}

func (w *window) level() float64   { return w.inFlight / float64(w.n) }
func (w *window) latency() float64 { return w.took / float64(w.n) }
func (w *window) usual() float64   { return w.times.quantile(.75) }

// more is how many more were in flight at the end.
func (w *window) more() float64 { return float64(w.lastIn - w.firstIn) }

// wasted reports whether many clients did not wait for the answer, and not just for
// some that hang while most take no longer than base.
func (w *window) wasted(base float64) bool {
	return float64(w.gone-1) >= wasteful*float64(w.n) && (2*w.gone > w.n || w.times.quantile(.5) > 1.5*base)
}

// short reports whether requests were refused, or had to wait.
func (w *window) short() bool { return w.shed > 0 || w.waiting }

// old reports whether it tells of the limit before.
func (w *window) old() bool { return float64(w.stale) > oldShare*float64(w.n) }

// A histogram counts latencies, in buckets of which there are four to an octave,
// from a microsecond to an hour.
type histogram [128]uint32

func (h *histogram) add(s float64) {
	h[max(0, min(len(h)-1, int(4*(math.Log2(s)+20))))]++
}

func (h *histogram) merge(o *histogram) {
	for i := range h {
		h[i] += o[i]
	}
}

// quantile is the latency that a share is below, to a tenth.
func (h *histogram) quantile(share float64) float64 {
	total := 0
	for _, n := range h {
		total += int(n)
	}
	above := total - int(share*float64(total))
	for i := len(h) - 1; i >= 0; i-- {
		if above -= int(h[i]); above <= 0 && total > 0 {
			return math.Exp2((float64(i)+.5)/4 - 20)
		}
	}
	return 0
}
