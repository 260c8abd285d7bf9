package limiter

import "math"

const (
	lateShare = .25 // of the time that clients wait, from which on an answer is late
	bearable  = .8  // of that time: next to no client has left
	unknown   = 1.0 // seconds that clients are taken to wait, if nothing is known of it

	leaves  = .3    // part of the way to the time after which a client had left, if that is sooner
	stays   = .01   // part of the way to the time for which one stayed, if that is longer
	lingers = 1.001 // growth where one had left later: when it did is not known
)

// patience is how long clients wait, in seconds. 0 is not known.
type patience struct {
	said float64 // by what they say
	left float64 // most have not left before this
}

// say takes in what a client says.
func (p *patience) say(wait float64) {
	if p.said == 0 {
		p.said = wait
	}
	p.said += (wait - p.said) * .05
}

// leave takes in a client that had left after some time, perhaps long before. One that
// left sooner than others, as a call that is given up, does not decide for all.
func (p *patience) leave(after float64) {
	switch {
	case p.left == 0:
		p.left = after
	case after < p.left:
		p.left += (after - p.left) * leaves
	default:
		p.left *= lingers
	}
}

// stay takes in a client that was still there after some time.
func (p *patience) stay(after float64) {
	if p.left > 0 && after > p.left {
		p.left += (after - p.left) * stays
	}
}

// known is how long clients wait; 0 is not known.
func (p *patience) known() float64 {
	if p.said == 0 || p.left > 0 && p.left < p.said {
		return p.left
	}
	return p.said
}

// waits is how long clients are taken to wait.
func (p *patience) waits() float64 {
	if known := p.known(); known > 0 {
		return known
	}
	return unknown
}

// bears is a latency at which next to no client has left; 0 is not known.
func (p *patience) bears() float64 { return bearable * p.known() }

// target is the latency from which on an answer is late, where the work takes base. It
// is at least twice base, or where clients do not wait for twice that, 1.5 times base.
func (p *patience) target(base float64) float64 {
	wait, room := p.waits(), 2*base
	if p.known() > 0 {
		room = math.Min(room, math.Max(wait/2, 1.5*base))
	}
	return math.Max(lateShare*wait, room)
}

// bears is a latency at which next to no client has left. If nothing is known of them, they
// bear half as much again as what they have borne, unless there may be a line.
func (a *adaptiveLimit) bears() float64 {
	if bears := a.patience.bears(); bears > 0 {
		return bears
	}
	least := math.Max(unknown, 2*a.trials.base)
	if a.succession.orderly(a.trials.base) {
		return least
	}
	return math.Max(least, growth*a.usual)
}

// bearable is a limit that binds when clients wait for as long as they bear, if no more
// are served than while nothing was late.
func (a *adaptiveLimit) bearable() float64 {
	return a.calm.most * a.bears() / binding
}
