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
		"300 ms slower for good, 175 a second: served",
		"600 ms slower for good, 175 a second: served",
		"600 ms slower for 20 s, clients say that they have 1 s: served",
		"from 20 to 120 ms for good, bursts of 30: harmed",
		"twice as slow at a third of the capacity: served",
		"a second without workers, a second with them, 1 s announced: served",
		"1.5 s without workers in 10, 1 s announced: served",
		"500 at once for 10 s, then as before: harmed",
		"40 clients in turn, a cache is flushed: harmed",
		"3 % of the answers a second late or more: harmed",
		"answers of 600 to 800 ms, 1 s announced: harmed",
		"LLM calls of 20 s beside quick ones: harmed",
		"60 long polls, and one call in eight given up: harmed, api",
		"60 long polls, and one call in eight given up, at least 500 at a time: harmed, api",
		"half of the capacity of one route beside 60 slow calls of 3 s: served, api",
		"half of the capacity of one route beside 60 slow calls of 3 s: harmed, slow",
		"a replica hangs, and does not know whether others do: told not to come back",
		"the dependency of one route takes 1.5 s instead of 20 ms, patterns: harmed",
		"the dependency of one route takes 1.5 s instead of 20 ms, no patterns: harmed",
		"10 a second, of which 2 % poll for 30s: harmed",
		"50 a second, of which 2 % poll for 30s: harmed",
		"20 a second, of which 5 % poll for 5s: harmed",
		"20 a second, of which 5 % poll for 1s: harmed",
		"5 a second, of which 10 % poll for 2s: harmed",
		"200 a second, of which 1 % poll for 10s: harmed",
		"half of 10 ms and half of 2 s, 100 a second: harmed",
		"half of 10 ms and half of 2 s, 500 a second: harmed",
		"one in twenty takes 5 s, the others 5 ms, 20 a second: harmed",
		"one in twenty takes 5 s, the others 5 ms, 100 a second: harmed",
		"one in twenty takes 5 s, the others 5 ms, 500 a second: harmed",
		"exponential of 1 s, 500 a second: harmed",
		"constant 3 s, 100 a second: harmed",
		"constant 3 s, 500 a second: harmed",
		"from 5 to 100 ms after 2 s, 100 a second: harmed",
		"from 5 to 100 ms after 2 s, 500 a second: harmed",
		"warms up from 1 s to 20 ms, 100 a second: harmed",
		"warms up from 1 s to 20 ms, 500 a second: harmed",
		"starts into 250 a second of 200, patient clients: useful",
		"starts into 250 a second of 200, clients go after 2s: useful",
		"starts into 250 a second of 200, clients go after 10s: useful",
		"starts into 400 a second of 200, patient clients: useful",
		"starts into 400 a second of 200, clients go after 2s: useful",
		"starts into 400 a second of 200, clients go after 10s: useful",
		"starts into 1000 a second of 200, patient clients: useful",
		"starts into 1000 a second of 200, clients go after 2s: useful",
		"starts into 1000 a second of 200, clients go after 10s: useful",
		"starts into twice its capacity, patient clients: useful",
		"starts into three times its capacity, which grows tenfold: useful",
		"starts into three times its capacity, which grows tenfold: served after",
		"ten times slower for 20 s: useful",
		"a stall of 10 s, then 300 ms slower: served after",
		"polls of 10 s without a pattern fill the slots beside an overload: harmed, polls",
		"polls of 10 s without a pattern fill the slots beside an overload: useful, api",
		"twice the capacity of one route beside 20 slow calls of 500ms, patterns: served, slow",
		"twice the capacity of one route beside 40 slow calls of 2s, patterns: served, slow",
		"twice the capacity of one route beside 60 slow calls of 3s, patterns: useful, api",
		"twice the capacity of one route beside 60 slow calls of 3s, patterns: served, slow",
		"twice the capacity of one route beside 20 slow calls of 5s, patterns: useful, api",
		"twice the capacity of one route beside 20 slow calls of 5s, patterns: served, slow",
		"twice the capacity of one route beside 60 slow calls of 3s, no patterns: useful, api",
		"twice the capacity of one route beside 60 slow calls of 3s, no patterns: served, slow",
		"twice the capacity of one route beside 20 slow calls of 1s, no patterns: served, slow",
		"one route is asked for five times what its pool can, patterns: served, fast",
		"one route is asked for five times what its pool can, no patterns: served, fast",
		"a fifth of the calls hang, 500 ms announced: served, others",
		"a fifth of the calls hang, no pattern: served",
		// Hold-outs.
		"a group commit each 50 ms, from 100 to 2,000 a second: harmed",
		"500 calls at once each 10 s, of 5 ms in 64 workers: served",
		"300 long polls begin at once beside quick calls: harmed, api",
		"one in twenty fails after 5 s, the others take 20 ms: harmed",
		"latency swings between 20 and 500 ms in 30 s: harmed",
		"half of the calls are 404 at once, and the others slow down by half a second: harmed",
		"starts with cold caches, twice the warm capacity: useful",
		"capacity leaks away from 400 to 100 in a minute, at 300 a second: useful",
		"ten tenants ask for the same, one for as much as all others, twice the capacity: served, the smallest share",
	}
}
