package limiter

import "math"

const (
	lateShare = .25 // of the time that clients wait, from which on an answer is late
	bearable  = .8  // of that time: next to no client has left
	unknown   = 1.0 // seconds that clients are taken to wait, if nothing is known of it
)

// patience is how long clients wait, in seconds. 0 is not known.
type patience struct {
	said float64 // by what they say
	left float64 // no longer than this: until then they had left
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
	} else {
		p.left *= 1.001
	}
}

// known is how long clients wait; 0 is not known.
func (p *patience) known() float64 {
	if p.said == 0 || p.left > 0 && p.left < p.said {
		return p.left
	}
	return p.said
}

// bears is a latency at which next to no client has left.
func (p *patience) bears() float64 {
	if known := p.known(); known > 0 {
		return bearable * known
	}
	return unknown
}

// target is the latency from which on an answer is late, where the work takes base. It
// is at least twice base, or where clients do not wait for twice that, 1.5 times base.
func (p *patience) target(base float64) float64 {
	wait, room := p.known(), 2*base
	if wait == 0 {
		wait = unknown
	} else {
		room = math.Min(room, math.Max(wait/2, 1.5*base))
	}
	return math.Max(lateShare*wait, room)
}
