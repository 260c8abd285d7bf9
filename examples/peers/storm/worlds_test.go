package main

import (
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"
)

var allWorlds = flag.Bool("worlds", false, "play all worlds and entrants, which takes long; -storm.seeds says how often, -storm.scenario and -storm.policy which")

// TestWorlds plays the worlds in virtual time and judges our ends by the laws. A
// table of all:
//
//	go test ./storm -run Worlds -worlds -storm.seeds 5 -v -timeout 5h
func TestWorlds(t *testing.T) {
	seeds, room := uint64(3), !*allWorlds
	if *virtualSeeds > 0 {
		seeds = uint64(*virtualSeeds)
	}
	var list []scenario
	for _, w := range worlds() {
		if (*allWorlds || w.short) && chosen(*virtualScenarios, w.id, strings.HasPrefix) {
			list = append(list, w)
		}
	}
	standings := make([]standing, len(list))
	t.Run("play", func(t *testing.T) {
		for i := range list {
			t.Run(list[i].id, func(t *testing.T) {
				t.Parallel()
				standings[i] = play(t, &list[i], seeds)
				for _, v := range standings[i].judge(room) {
					switch {
					case v.kept && v.open && !room:
						t.Errorf("%s: %.3f, which is as good as wanted: take it off the list of open verdicts", v.key(), v.figure)
					case !v.kept && !v.open:
						t.Errorf("%s: %.3f, want %.3f", v.key(), v.figure, v.bound)
					}
				}
			})
		}
	})
	held := slices.IndexFunc(standings, func(st standing) bool { return st.world.holdOut })
	if held < 0 {
		held = len(standings)
	}
	t.Logf("medians of %d run(s): seconds until goodput is back / attempts per call during the fault / success\n\n%s\nHold-outs\n\n%s",
		seeds, table(standings[:held], room), table(standings[held:], room))
}

// play lets the entrants go through a world. Without -worlds those stay at home
// that no law is about.
func play(t *testing.T, w *scenario, seeds uint64) standing {
	st := standing{world: w, of: map[string]result{}}
	all := policies()
	best := make([]float64, seeds)
	for seed := range seeds {
		best[seed], _ = w.optimum(seed + 1)
	}
	for _, e := range entrants() {
		if !e.goesTo(w) || !chosen(*virtualPolicies, e.id, func(a, b string) bool { return a == b }) ||
			!*allWorlds && (e.id == "retryablehttp" || e.id == "failsafe") {
			continue
		}
		s := *w
		if e.server != "" {
			s.server = e.server
		}
		if e.id == "none" && len(s.fleet) > 0 { // who does not retry beside the same others
			s.fleet = slices.Clone(s.fleet)
			s.fleet[0].policy = "none"
		}
		p := all[slices.IndexFunc(all, func(p policy) bool { return p.id == e.policy })]
		var runs []result
		for seed := range seeds {
			r := virtual(t, s, p, seed+1)
			r.Seconds = nil
			if best[seed] > 0 {
				r.Optimum, r.OfOptimum = best[seed], r.Success/best[seed]
			}
			runs = append(runs, r)
		}
		st.of[e.id] = median(runs)
	}
	return st
}

// Every entry of the list of open verdicts is about something.
func TestOpenVerdictsAreKnown(t *testing.T) {
	var known sync.Map
	for _, w := range worlds() {
		known.Store(w.id, true)
	}
	for _, key := range open() {
		id, _, _ := strings.Cut(key, ": ")
		if _, ok := known.Load(id); !ok {
			t.Errorf("%q is open, and there is no such world", key)
		}
	}
}
