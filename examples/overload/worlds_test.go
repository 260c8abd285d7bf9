package main

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
)

var only = flag.String("world", "", "play only the worlds whose name contains this")

// raced says that the race detector is on, which slows a world down fivefold.
var raced bool

// large are the worlds that are not played then: others do the same with fewer calls.
var large = []string{
	"a quick route and a slow one change places",
	"half of the calls are 404 at once, and the others slow down by half a second",
	"next to nothing for a minute, then three times the capacity",
	"starts into 1000 a second of 200, patient clients",
	"starts into 400 a second of 200, patient clients",
	"starts into three times its capacity, which grows tenfold",
	"ten times slower for 20 s",
	"twice the capacity for 10 s and next to nothing for 10 s",
	"twice the capacity of one route beside 60 slow calls of 3s, patterns",
}

// TestWorlds plays the worlds and compares their figures with their bounds. A
// table of all:
//
//	go test ./examples/overload -run Worlds -long -seeds 5 -v
func TestWorlds(t *testing.T) {
	runs := 1
	if *long {
		runs = *seeds
	}
	all := worlds.All()
	verdicts := make([][]worlds.Verdict, len(all))
	t.Run("play", func(t *testing.T) {
		for i := range all {
			w := &all[i]
			if *only != "" && !strings.Contains(w.Name, *only) || *only == "" && !*long && !w.Short {
				continue
			}
			t.Run(w.Name, func(t *testing.T) {
				if raced && !*long && *only == "" && slices.Contains(large, w.Name) {
					t.Skip("takes too long with the race detector")
				}
				t.Parallel()
				with := make([]*worlds.Outcome, runs)
				without := make([]*worlds.Outcome, runs)
				for seed := range runs {
					synctest.Test(t, func(t *testing.T) {
						wrap, err := w.Shedding()
						if err != nil {
							t.Fatal(err)
						}
						with[seed] = w.Play(uint64(seed)+1, wrap)
					})
					if w.NeedsWithout() {
						synctest.Test(t, func(t *testing.T) { without[seed] = w.Play(uint64(seed)+1, nil) })
					}
				}
				verdicts[i] = w.Judge(with, without)
				for _, v := range verdicts[i] {
					switch {
					case v.Met && v.Check.Open && runs >= 3:
						t.Errorf("%s: %.3f, which is as good as wanted: take it off the list of open checks", v.Key(), v.Runs)
					case !v.Met && !v.Check.Open:
						t.Errorf("%s: %.3f, want %.3f", v.Key(), v.Runs, v.Bound)
					}
				}
			})
		}
	})
	tuned := slices.Concat(verdicts...)
	held := slices.DeleteFunc(slices.Clone(tuned), func(v worlds.Verdict) bool { return !v.World.HoldOut })
	tuned = slices.DeleteFunc(tuned, func(v worlds.Verdict) bool { return v.World.HoldOut })
	t.Logf("%d run(s) of each\n\n%s\nHold-outs\n\n%s", runs, worlds.Table(tuned), worlds.Table(held))
}

// Every entry of the list of open checks is one.
func TestOpenChecksAreKnown(t *testing.T) {
	marked := 0
	for _, w := range worlds.All() {
		for _, c := range w.Checks {
			if c.Open {
				marked++
			}
		}
	}
	if n := len(worlds.Open()); marked != n {
		t.Errorf("%d checks are open, and the list has %d entries", marked, n)
	}
}
