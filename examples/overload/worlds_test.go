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
