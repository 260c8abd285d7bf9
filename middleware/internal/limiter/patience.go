package limiter

import "math"

// harmless is a latency that nearly every client waits for, in seconds.
const harmless = .33

// patience is how long clients wait, in seconds. 0 is not known.
type patience struct {
	said float64 // by what they say
	left float64 // no longer than this: until then they had left
	cut  bool    // the limit was, since they do not wait for so long
}

// say takes in what a client says.
func (p *patience) say(wait float64) {
	if p.said == 0 {
		p.said = wait
	}
	p.said += (wait - p.said) * .05
}

// leave takes in a client that had left after some time.
func (p *patience) leave(after float64) {
	if p.left == 0 || after < p.left {
		p.left = after
	}
	p.left += (after - p.left) * .002
}

// wait is how long clients wait.
func (p *patience) wait() float64 {
	if p.said == 0 || p.left > 0 && p.left < p.said {
		return p.left
	}
	return p.said
}

// harmless is a latency that next to no client leaves for.
func (p *patience) harmless() float64 {
	switch {
	case p.said > 0:
		return p.said / 2
	case p.left > 0:
		return math.Min(harmless, p.left/3)
	}
	return harmless
}

// limit is how many requests a handler may have that serves them, by Little's
// law, in half of the time that clients wait; or in half of what it takes now, if
// that is less; but not less than the work takes.
func (p *patience) limit(w window, s, inFlight, baseline float64) float64 {
	moving := w.all / (s - w.gap.Seconds())
	return moving * math.Max(math.Min(p.wait(), inFlight/moving)/2, 1.5*baseline/1e9)
}
