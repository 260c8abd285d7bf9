package breaker

import "time"

// A tally counts finished calls.
type tally struct{ finished, failed, slow int }

func (t *tally) add(n tally) {
	t.finished += n.finished
	t.failed += n.failed
	t.slow += n.slow
}

func (t *tally) sub(n tally) {
	t.finished -= n.finished
	t.failed -= n.failed
	t.slow -= n.slow
}

// A window counts the calls that finished within a time. It forgets them in
// steps of a tenth of that time.
type window struct {
	step  time.Duration
	newer int64 // the number of the newest step
	steps [steps]tally
	sum   tally
}

const steps = 10

func newWindow(d time.Duration) window { return window{step: d / steps} }

// add counts calls that finished now and returns all that count.
func (w *window) add(now time.Duration, n tally) tally {
	at := int64(now / w.step)
	for i := range min(at-w.newer, steps) {
		old := &w.steps[(w.newer+1+i)%steps]
		w.sum.sub(*old)
		*old = tally{}
	}
	w.newer = at
	w.steps[at%steps].add(n)
	w.sum.add(n)
	return w.sum
}

func (w *window) clear() { *w = window{step: w.step, newer: w.newer} }

// trips reports whether a circuit opens after these calls, of which the last one
// failed or was slow.
func (c *config) trips(n tally) bool {
	finished := float64(n.finished)
	return n.finished >= c.minRequests &&
		(float64(n.failed) >= c.tripRatio*finished || c.timed() && float64(n.slow) >= c.slowRatio*finished)
}

// timed reports whether calls can be slow.
func (c *config) timed() bool { return c.slowRatio != 0 }

// openTime returns how long a circuit refuses calls, so long after it first
// opened. It grows with the outage, so that the circuit of a service that is
// down for hours sends few probes, and is still never late by more than a
// hundredth of the outage.
func (c *config) openTime(outage time.Duration) time.Duration {
	return max(c.openFor, min(outage/100, longestOpen))
}

// longestOpen is what an open time grows to.
const longestOpen = 4 * time.Second
