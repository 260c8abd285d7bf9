package worlds

import (
	"fmt"
	"slices"
	"strings"
)

// A Verdict is what a check came to in several runs.
type Verdict struct {
	World *World
	Check *Check
	Bound float64   // in the first run, where it follows the figure without middleware
	Runs  []float64 // sorted
	Met   bool
}

// Judge compares outcomes of the world with its bounds, and with those
// without any middleware of the same seeds where a check asks for them.
func (w *World) Judge(with, without []*Outcome) []Verdict {
	var all []Verdict
	for i := range w.Checks {
		c := &w.Checks[i]
		v := Verdict{World: w, Check: c, Bound: c.Bound, Met: true}
		var short []float64 // by how much each run misses the bound
		for j, o := range with {
			figure := c.Figure(o)
			bound := c.Bound
			if c.Without {
				bound = c.Figure(without[j]) - c.Bound
				if j == 0 {
					v.Bound = bound
				}
			}
			miss := bound - figure
			if c.Most {
				miss = figure - bound
			}
			v.Runs, short = append(v.Runs, figure), append(short, miss)
		}
		slices.Sort(v.Runs)
		slices.Sort(short)
		worst := short[len(short)-1]
		v.Met = worst <= Slack && (len(short) < 3 || short[len(short)/2] <= 0)
		if c.Most || c.Without {
			v.Met = worst <= 0
		}
		all = append(all, v)
	}
	return all
}

// NeedsWithout reports whether a check compares with the world without middleware.
func (w *World) NeedsWithout() bool {
	return slices.ContainsFunc(w.Checks, func(c Check) bool { return c.Without })
}

// Median returns the median of the runs.
func (v *Verdict) Median() float64 { return v.Runs[len(v.Runs)/2] }

// Worst returns the run that is worst.
func (v *Verdict) Worst() float64 {
	if v.Check.Most {
		return v.Runs[len(v.Runs)-1]
	}
	return v.Runs[0]
}

// State says in a word what a table shows.
func (v *Verdict) State() string {
	switch {
	case v.Met && v.Check.Open:
		return "passes, marked open"
	case v.Met:
		return ""
	case v.Check.Open:
		return "open"
	}
	return "FAILS"
}

// Table lists verdicts in the order of the worlds.
func Table(verdicts []Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| world | law | figure | bound | median | worst | |\n|---|---|---|---|---|---|---|\n")
	for i := range verdicts {
		v := &verdicts[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.3f | %.3f | %s |\n",
			v.World.Name, v.World.Law, v.Check.Name, v.Wanted(), v.Median(), v.Worst(), v.State())
	}
	return b.String()
}

// Key names the verdict as [Open] does.
func (v *Verdict) Key() string { return key(v.World, v.Check) }

// Wanted is the bound as a table shows it.
func (v *Verdict) Wanted() string {
	if v.Check.Most {
		return fmt.Sprintf("≤ %.3f", v.Bound)
	}
	return fmt.Sprintf("≥ %.3f", v.Bound)
}
