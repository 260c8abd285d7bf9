package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

var (
	virtualScenarios = flag.String("storm.scenario", "", "with -storm.seeds: comma-separated prefixes of the scenarios")
	virtualPolicies  = flag.String("storm.policy", "", "with -storm.seeds: comma-separated policies")
	virtualSeeds     = flag.Int("storm.seeds", 0, "runs in virtual time for TestVirtual")
	virtualStops     = flag.Bool("storm.stops", false, "with -storm.seeds: say why calls ended")
)

// virtual makes a run in memory and in virtual time.
func virtual(t *testing.T, s scenario, p policy, seed uint64) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = run(t.Context(), new(memory), s, p, seed); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// TestVirtual prints the table over many seeds in virtual time, which is what
// the constants were tuned by:
//
//	go test ./storm -run Virtual -storm.seeds 9 -storm.scenario stall,drop -storm.policy evenkeel,none
func TestVirtual(t *testing.T) {
	if *virtualSeeds == 0 {
		t.Skip("needs -storm.seeds")
	}
	var mu sync.Mutex
	var runs []result
	t.Run("all", func(t *testing.T) {
		for _, s := range scenarios(false) {
			for _, p := range policies() {
				if !chosen(*virtualScenarios, s.id, strings.HasPrefix) || !chosen(*virtualPolicies, p.id, func(a, b string) bool { return a == b }) || !s.takes(p, false) {
					continue
				}
				for seed := range uint64(*virtualSeeds) {
					t.Run(fmt.Sprintf("%s/%s/%d", s.id, p.id, seed), func(t *testing.T) {
						t.Parallel()
						r := virtual(t, s, p, seed+1)
						mu.Lock()
						defer mu.Unlock()
						runs = append(runs, r)
						if *virtualStops {
							t.Logf("%v", r.Stops)
						}
					})
				}
			}
		}
	})
	if err := newReport([]string{"(virtual time)"}, runtime.NumCPU(), runs).markdown(os.Stdout); err != nil {
		t.Fatal(err)
	}
}
