package worlds

import (
	"time"
)

// The figures of an outcome. From and to bound when calls begin; a caller of ""
// is all of them.

func (o *Outcome) share(caller string, from, to time.Duration, of func(*call) bool) float64 {
	n, yes := 0, 0
	for i := range o.calls {
		if c := &o.calls[i]; (caller == "" || c.caller == caller) && c.began >= from && c.began < to {
			n++
			if of(c) {
				yes++
			}
		}
	}
	return float64(yes) / float64(max(n, 1))
}

// Harmed is the part of the calls that the server refused or let wait, whose
// handler had room for them.
func (o *Outcome) Harmed(caller string, from, to time.Duration) float64 {
	return o.share(caller, from, to, func(c *call) bool { return c.harmed })
}

// Refused is the part of the calls that the server refused.
func (o *Outcome) Refused(caller string, from, to time.Duration) float64 {
	return o.share(caller, from, to, func(c *call) bool { return c.refused })
}

// Served is the part of the calls that had an answer in time.
func (o *Outcome) Served(caller string, from, to time.Duration) float64 {
	return o.share(caller, from, to, func(c *call) bool { return c.useful })
}

// Never is the part of the refused calls that were told not to come back.
func (o *Outcome) Never(from, to time.Duration) float64 {
	n, never := 0, 0
	for i := range o.calls {
		if c := &o.calls[i]; c.refused && c.began >= from && c.began < to {
			n++
			if c.never {
				never++
			}
		}
	}
	return float64(never) / float64(max(n, 1))
}

// Rate is how many answers per second came in time between two moments.
func (o *Outcome) Rate(caller string, from, to time.Duration) float64 {
	n := 0
	for i := range o.calls {
		if c := &o.calls[i]; (caller == "" || c.caller == caller) && c.useful && c.ended >= from && c.ended < to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}

// The checks of the laws.

// unharmed is the law of [NoHarm] where there is room for all: at most 1 % of a
// caller's calls are refused or made to wait.
func unharmed(caller string, from, to time.Duration) Check {
	return Check{Name: named("harmed", caller), Bound: .01, Most: true, Figure: func(o *Outcome) float64 { return o.Harmed(caller, from, to) }}
}

// asWithout is that law where calls wait for each other: at most 1 %
// fewer are answered in time than without the middleware.
func asWithout(caller string, from, to time.Duration) Check {
	return Check{Name: named("served", caller), Bound: .01, Without: true, Figure: func(o *Outcome) float64 { return o.Served(caller, from, to) }}
}

// useful is the law of [Capacity]: 95 % of what the service can answer per second.
func useful(perSecond float64, from, to time.Duration) Check {
	return Check{Name: "useful", Bound: .95, Figure: func(o *Outcome) float64 { return o.Rate("", from, to) / perSecond }}
}

// back is that law after an overload.
func back(from, to time.Duration) Check {
	return Check{Name: "served after", Bound: .99, Figure: func(o *Outcome) float64 { return o.Served("", from, to) }}
}

// spared is the law of [Isolation]: the caller loses at most 10 %.
func spared(caller string, from, to time.Duration) Check {
	return Check{Name: named("served", caller), Bound: .9, Figure: func(o *Outcome) float64 { return o.Served(caller, from, to) }}
}

func named(figure, caller string) string {
	if caller == "" {
		return figure
	}
	return figure + ", " + caller
}

func (c Check) called(name string) Check {
	c.Name = name
	return c
}
