// Package worlds is the exam of a server's concurrency limit: services that are
// slow, overloaded or shared with a bad neighbour, the clients that call them, and
// the figures that each must reach. It plays them in a testing/synctest bubble, so
// that minutes take a second and the machine has no part in them. The handler and
// the middleware are real; only the work and the clients are made up.
package worlds

import (
	"cmp"
	"math"
	"time"
)

// A Law says what a world is about.
type Law string

const (
	NoHarm    Law = "no harm"   // a service that can do what is asked refuses nothing and lets nothing wait
	Capacity  Law = "capacity"  // one that cannot keeps answering at its capacity, and is back at once
	Isolation Law = "isolation" // a part that is slow, hung or greedy costs the others at most 10 %
)

// A World is a service, its clients, and what must come of them.
type World struct {
	Name     string
	Law      Law
	Length   time.Duration
	Capacity float64 // calls per second that the service can answer; 0 if there is room for all
	Room     int     // requests that it can serve at a time, for limits that have to be told; 0 if there is room for all
	Patterns bool    // the service is a ServeMux, so that requests have a pattern
	Service  Service
	Callers  []Caller
	Checks   []Check

	// MinConcurrency is that of the shedding under test.
	MinConcurrency int
	// Short worlds are played each time, the others only in a long run.
	Short bool
	// HoldOut worlds were chosen before the limit was tuned, and it is not to be
	// tuned by them.
	HoldOut bool
}

// A Caller is a group of clients that call the same path, at random times
// whether or not earlier calls have ended.
type Caller struct {
	Name string
	Path string // the default is "/"
	Rate Rate
	// Clients, if there are any, call one after the other instead, with a pause
	// of Think in between.
	Clients int
	Think   time.Duration
	// Burst more calls come at once Every so often.
	Burst int
	Every time.Duration

	Patience time.Duration // after which a client hangs up; 0: it never does
	Announce bool          // clients say so in Request-Attempt-Timeout-Ms
	Attempts int           // per call, 100 ms and 200 ms apart, ±50 %; the default is 1
	Useful   time.Duration // after which an answer is of no use; the default is Patience or, without it, 1 s

	Upload   time.Duration // how long a client takes to send its body
	Download time.Duration // how long a client takes to receive each write
}

func (c *Caller) path() string { return cmp.Or(c.Path, "/") }

func (c *Caller) useful() time.Duration {
	switch {
	case c.Useful > 0:
		return c.Useful
	case c.Patience > 0:
		return c.Patience
	}
	return time.Second
}

// A Rate is calls per second, in phases one after the other.
type Rate []Phase

// A Phase is a number of calls per second until some time after the start.
type Phase struct {
	PerSecond float64
	Until     time.Duration
}

// Steady is a rate that does not change.
func Steady(perSecond float64) Rate { return Rate{{perSecond, math.MaxInt64}} }

// Waves is a rate that swings between two in a period.
func Waves(low, high float64, period, length time.Duration) (r Rate) {
	const step = 500 * time.Millisecond
	for at := time.Duration(0); at < length; at += step {
		swing := .5 - .5*math.Cos(2*math.Pi*at.Seconds()/period.Seconds())
		r = append(r, Phase{low + (high-low)*swing, at + step})
	}
	return r
}

// A Check is a figure of a world and its bound.
type Check struct {
	Name   string
	Figure func(*Outcome) float64
	Bound  float64
	// Most is whether Bound is the most that the figure may be, in every run.
	// Otherwise it is the least that the median of three and more runs must be,
	// and no run may be more than Slack below it.
	Most bool
	// Without is whether Bound is how much worse the figure may be than it is
	// without any middleware.
	Without bool
	// Open is whether the check is known to fail, see [Open].
	Open bool
}

// Slack is by how much one run of several may miss a bound.
const Slack = .05
