package main

import (
	"fmt"
	"slices"
	"strings"
)

// An entrant is a client policy before a server.
type entrant struct {
	id, policy, server string // an empty server is that of the world
	name               string
}

// entrants returns those of the table of worlds, in its order.
func entrants() []entrant {
	return []entrant{
		{"none", "none", "", "no retry"},
		{"retryablehttp", "retryablehttp", "", "go-retryablehttp"},
		{"failsafe", "failsafe-limiter", "", "failsafe-go"},
		{"client", "evenkeel", "", "client"},
		{"breaker", "evenkeel-breaker", "", "client with breaker"},
		{"server", "none", ours, "server"},
		{"both", "evenkeel", ours, "both ends"},
	}
}

// goesTo reports whether the entrant takes part in a world. What has a server of
// another kind is not behind ours too, and a mixed fleet has its own policies.
func (e *entrant) goesTo(w *scenario) bool {
	if len(w.fleet) > 0 {
		return e.id == "none" || e.id == "client" || e.id == "both"
	}
	return e.server == "" || w.server == naive
}

// A standing is what entrants came to in a world, the medians of the seeds.
type standing struct {
	world *scenario
	of    map[string]result // by entrant
}

// A verdict is a law that an entrant kept in a world, or did not.
type verdict struct {
	world, law, who string
	figure, bound   float64
	kept, open      bool
}

func (v *verdict) key() string { return v.world + ": " + v.who + ": " + v.law }

// The laws, as the verdicts call them.
const (
	noHarm     = "no harm"     // success at least that of no retry, less 0.01
	atOnce     = "at once"     // where all arrive without retries, at most 1 % waits
	bothEnds   = "both ends"   // success at least that of the better single end, less 0.01
	ends       = "ends"        // seconds until 99 % goodput is back
	fewer      = "attempts"    // per call while the fault lasts
	ofOptimum  = "of optimum"  // success, as a share of the optimum
	likeClient = "like client" // success with a breaker at least that without, less 0.01
)

// tolerance is by how much success may differ.
const tolerance = 0.01

// chance is by how much three runs may miss a bound that are made each time. The
// medians of more runs of all worlds are held to the bounds themselves.
func chance(law string) float64 {
	switch law {
	case ends:
		return 2 // seconds
	case fewer:
		return 0.1 // attempts per call
	}
	return 0.02 // of all calls
}

// judge compares a standing with the laws, with some room for chance or with none.
func (st *standing) judge(room bool) (all []verdict) {
	w := st.world
	least := func(law, who string, figure, bound float64) {
		if room {
			bound -= chance(law)
		}
		all = append(all, verdict{world: w.id, law: law, who: who, figure: figure, bound: bound, kept: figure >= bound})
	}
	most := func(law, who string, figure, bound float64) {
		if room {
			bound += chance(law)
		}
		all = append(all, verdict{world: w.id, law: law, who: who, figure: figure, bound: bound, kept: figure <= bound})
	}
	// What did not play is nothing that others can be compared with.
	none, alone := st.of["none"]
	client, byClient := st.of["client"]
	server, byServer := st.of["server"]
	for _, who := range []string{"client", "breaker", "server", "both"} {
		r, in := st.of[who]
		if !in {
			continue
		}
		if len(w.fleet) > 0 { // our part of it, against the same part without retries
			if alone {
				least(noHarm, who, r.Parts[0], none.Parts[0]-tolerance)
			}
			continue
		}
		if alone {
			least(noHarm, who, r.Success, none.Success-tolerance)
		}
		if none.Success >= 0.999 && who != "server" {
			most(atOnce, who, r.Held, 0.01)
		}
		if who == "server" {
			continue
		}
		if w.ends > 0 {
			bound := w.ends.Seconds()
			if who == "breaker" {
				bound = max(bound, 5)
			}
			most(ends, who, afterAll(r.Recovered), bound)
			if r.Optimum > 0 && who != "breaker" {
				least(ofOptimum, who, r.OfOptimum, 0.95)
			}
		}
		if w.perCall > 0 {
			most(fewer, who, r.Amplification, w.perCall)
		}
	}
	if r, in := st.of["breaker"]; in && byClient {
		least(likeClient, "breaker", r.Success, client.Success-tolerance)
	}
	if r, in := st.of["both"]; in && (byClient || byServer) && len(w.fleet) == 0 {
		least(bothEnds, "both", r.Success, max(client.Success, server.Success)-tolerance)
	}
	for i := range all {
		all[i].open = slices.Contains(open(), all[i].key())
	}
	return all
}

// afterAll makes what never was later than anything.
func afterAll(recovered float64) float64 {
	if recovered == never {
		return 999
	}
	return recovered
}

// table lists standings: how soon goodput was back, attempts per call during the
// fault, success, and the laws that were not kept.
func table(standings []standing, room bool) string {
	var b strings.Builder
	fmt.Fprint(&b, "| world |")
	for _, e := range entrants() {
		fmt.Fprintf(&b, " %s |", e.name)
	}
	fmt.Fprintf(&b, " optimum | not kept |\n|---|---|---|%s\n", strings.Repeat("---|", len(entrants())))
	for i := range standings {
		st := &standings[i]
		fmt.Fprintf(&b, "| %s |", st.world.id)
		for _, e := range entrants() {
			r, in := st.of[e.id]
			switch {
			case !in:
				b.WriteString(" |")
			case st.world.fault == 0:
				fmt.Fprintf(&b, " %.2f / %.3f |", r.InAll, r.Success)
			default:
				fmt.Fprintf(&b, " %s / %.2f / %.3f |", since(r.Recovered), r.Amplification, r.Success)
			}
		}
		if best := st.of["none"].Optimum; best > 0 {
			fmt.Fprintf(&b, " %.3f |", best)
		} else {
			b.WriteString(" |")
		}
		var broken []string
		for _, v := range st.judge(room) {
			if !v.kept {
				word := fmt.Sprintf("%s: %s %.3f (%.3f)", v.who, v.law, v.figure, v.bound)
				if v.open {
					word += " open"
				}
				broken = append(broken, word)
			}
		}
		fmt.Fprintf(&b, " %s |\n", strings.Join(broken, "; "))
	}
	return b.String()
}
