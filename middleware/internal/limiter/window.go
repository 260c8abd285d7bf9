package limiter

import (
	"math"
	"time"
)

const (
	windowTime  = 100 * time.Millisecond // a window is at least that long
	windowCount = 50                     // and has that many completions,
	slowTime    = 2 * time.Second        // or after that long
	slowCount   = 10                     // only that many
	firstCount  = 16                     // requests that met an empty handler: the first window
	sampleCount = 200                    // completions in windowTime that have to be measured
	mostEvery   = 16                     // requests, of which one is measured
)

// window is what happened since the last decision.
type window struct {
	since       time.Duration
	n           int     // completions that were measured
	all         float64 // that they stand for
	others      int     // that came before the first requests had completed
	took        float64 // ns
	inFlight    float64
	most        int // in flight
	shed        int
	waiting     bool // requests waited for a slot
	failed      int
	gap         time.Duration // longest between two completions
	quick, slow tally         // of routes that are as quick as ever, and of those that are not
}

// A tally is what became of requests.
type tally struct {
	n        int
	gone     int     // their clients had left
	stale    int     // admitted before the limit was moved
	swift    int     // hardly took longer than usual
	good     float64 // answers that a client waited for
	took     float64 // ns, of all
	over     float64 // of the good ones, over the usual latency, as logarithms
	goneOver float64 // of the others
}

// add takes in a completion.
func (w *window) add(c Completion, r *route, changed time.Duration) {
	w.n++
	w.all += float64(c.Slot.Weight)
	w.took += float64(c.Took)
	w.inFlight += float64(c.InFlight)
	w.most = max(w.most, c.InFlight)
	w.waiting = w.waiting || c.Waiting
	if c.Outcome == Failed {
		w.failed++
		return
	}
	t := &w.quick
	if r.slow {
		t = &w.slow
	}
	t.n++
	t.took += float64(c.Took)
	if c.At-c.Took < changed {
		t.stale++
	}
	over := r.over(c.Took)
	if c.Outcome == Gone {
		t.gone++
		t.goneOver += over
	} else {
		t.good += float64(c.Slot.Weight)
		t.over += over
		if over < math.Log(quick) {
			t.swift++
		}
	}
	r.add(c.Took, c.Outcome == Gone)
}

// closes reports whether the window has seen enough. The first one waits for the
// first requests, but not for ten times as long as most of them took.
func (w *window) closes(now time.Duration, first, proved, trying bool) bool {
	elapsed := now - w.since
	if first {
		return w.n >= firstCount || w.n >= firstCount*3/4 && elapsed >= time.Duration(10*w.took/float64(w.n))
	}
	enough := windowCount
	if !proved {
		enough = firstCount
	}
	return elapsed >= windowTime && (w.n >= enough || w.n >= slowCount && (elapsed >= slowTime || trying))
}

// short reports whether requests were refused, or had to wait.
func (w *window) short() bool { return w.shed > 0 || w.waiting }

// merge adds another tally.
func (t *tally) merge(u tally) {
	t.n += u.n
	t.gone += u.gone
	t.good += u.good
	t.took += u.took
	t.over += u.over
	t.goneOver += u.goneOver
}

// slowness is how many times as long as usual they took, in the geometric mean.
// Those whose clients left count only where there are no others.
func (t *tally) slowness() float64 {
	if t.gone < t.n {
		return math.Exp(t.over / float64(t.n-t.gone))
	}
	return math.Exp(t.goneOver / math.Max(1, float64(t.n)))
}

// wasted reports whether many clients did not wait for the answer, and load may
// be why: where the others are served as quickly as ever, it is not.
func (t *tally) wasted() bool {
	return t.gone > 0 && float64(t.gone) >= wasteful*float64(t.n) && t.slowness() > loaded
}

// old reports whether they tell of the limit before.
func (t *tally) old() bool { return float64(t.stale) > oldShare*float64(t.n) }

// latency is what an answer cost of the slots, ns.
func (t *tally) latency() float64 { return t.took / math.Max(1, float64(t.n-t.gone)) }
