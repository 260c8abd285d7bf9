package worlds

import "slices"

// All returns every world: those that the limit may be tuned by, then the
// hold-outs, which it may not.
func All() []World {
	all := slices.Concat(noHarm(), overCapacity(), neighbours(), holdOut())
	for i := range all {
		for j := range all[i].Checks {
			c := &all[i].Checks[j]
			c.Open = slices.Contains(Open(), key(&all[i], c))
		}
	}
	return all
}

func key(w *World, c *Check) string { return w.Name + ": " + c.Name }

// Open lists the checks that are known to fail, as "world: figure". They are
// reported, and a run of three and more seeds fails where one of them passes, so
// that the list says what is so.
func Open() []string {
	return []string{
		// Those to tune by.
		"600 ms slower for good, 175 a second: served",
		"600 ms slower for 20 s, clients say that they have 1 s: served",
		"starts into ten times its capacity: useful",
		"starts into 5 % more than its capacity: useful",
		"ten times slower for 20 s: useful",
		"five times slower for a minute: useful",
		"four of five workers gone for 10 s: useful",
		"half of the workers every other 10 s, 1 s announced: useful",
		"half of the calls are cached, twice what the others can: useful",
		"twice the capacity of one route beside 20 slow calls of 5s, patterns: served, slow",
		"twice the capacity of one route beside 60 slow calls of 3s, no patterns: served, slow",
		"twice the capacity of one route beside 20 slow calls of 1s, no patterns: served, slow",
		"one route is asked for five times what its pool can, no patterns: useful, report",
		"a fifth of the calls hang, no pattern: served",
		// Hold-outs.
		"a group commit each 50 ms, from 100 to 2,000 a second: harmed",
		"500 calls at once each 10 s, of 5 ms in 64 workers: served",
		"300 long polls begin at once beside quick calls: harmed, api",
		"half of the calls are 404 at once, and the others slow down by half a second: harmed",
		"starts with cold caches, twice the warm capacity: useful",
		"ten tenants ask for the same, one for as much as all others, twice the capacity: served, the smallest share",
	}
}
