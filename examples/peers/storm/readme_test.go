package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var makeReadme = flag.Bool("readme", false, "make the tables of the README, and results, anew; -storm.seeds says of how many runs, 3 by default")

var readmePart = flag.String("readme.part", "", "with -readme: make only these of demo, storms, quiet and holdout, with commas between them")

// readmePath is the README with the tables, from this directory.
const readmePath = "../../../README.md"

// TestReadme checks that the tables of the README are what the command makes, as
// far as that can be told without their figures. With -readme it makes them anew,
// and the reports and plots in results. The first table is of runs over HTTP in
// real time, which need a machine that is not busy.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	if !*makeReadme {
		demos := demoTable([]demo{{}}, 0)
		for _, table := range []string{demos, new(report).policiesTable()} {
			head, _, _ := strings.Cut(table, "\n")
			if !strings.Contains(string(text), head+"\n|---|") {
				t.Errorf("the README has no table that begins %q; make it anew: %s", head, remake)
			}
		}
		return
	}
	seeds := uint64(3)
	if *virtualSeeds > 0 {
		seeds = uint64(*virtualSeeds)
	}
	wanted := func(part string) bool {
		return *readmePart == "" || slices.Contains(strings.Split(*readmePart, ","), part)
	}
	made := map[string]string{}
	if wanted("demo") {
		var runs []demo
		for seed := range 5 {
			runs = append(runs, runDemo(t, seed+1))
		}
		made["demo"] = demoTable(runs, demoOptimum())
	}
	for _, of := range publishedReports() {
		if !wanted(of.name) {
			continue
		}
		if rep := playReport(t, of, seeds); of.name == "storms" {
			made["storms"] = rep.policiesTable()
		}
	}
	page := string(text)
	for name, table := range made {
		if page, err = withTable(page, name, table); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(readmePath, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runDemo runs examples/storm.
func runDemo(t *testing.T, seed int) demo {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./examples/storm", "-json", "-seed", fmt.Sprint(seed))
	cmd.Dir, cmd.Stderr = filepath.Dir(readmePath), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDemo(out)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// demoOptimum is what the backend of examples/storm could do.
func demoOptimum() float64 {
	s := base("demo", "", func(s *scenario) {
		s.clients, s.script = 10, stalled
		s.calm, s.fault, s.after = 4*time.Second, 5*time.Second, 16*time.Second
	})
	best, _ := s.meanOptimum(5)
	return best
}

// playReport makes the runs of a report in virtual time, and writes it, and the
// plots of its storms, to results.
func playReport(t *testing.T, of reportOf, seeds uint64) *report {
	t.Helper()
	var mu sync.Mutex
	var runs []result
	t.Run(of.name, func(t *testing.T) {
		for _, s := range scenarios(false) {
			for _, p := range policies() {
				if !chosen(of.scenarios, s.id, strings.HasPrefix) || !chosen(of.policies, p.id, func(a, b string) bool { return a == b }) || !s.takes(p, false) {
					continue
				}
				for seed := uint64(1); seed <= seeds; seed++ {
					t.Run(fmt.Sprintf("%s/%s/%d", s.id, p.id, seed), func(t *testing.T) {
						t.Parallel()
						r := virtual(t, s, p, seed)
						mu.Lock()
						defer mu.Unlock()
						runs = append(runs, r)
					})
				}
			}
		}
	})
	rep := newReport(nil, 0, scenarios(false), runs)
	rep.Command = remake
	dir := t.TempDir()
	if err := rep.write(dir); err != nil {
		t.Fatal(err)
	}
	keep := map[string]string{"results.md": of.name + ".md"}
	for _, plot := range []string{"stall.naive.svg", "drop.naive.svg", "spike.naive.svg", "stall.evenkeel.svg"} {
		keep[plot] = plot
	}
	for from, to := range keep {
		data, err := os.ReadFile(filepath.Join(dir, from))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join("results", to), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return rep
}

// The tables say what the runs came to, and what was possible.
func TestTables(t *testing.T) {
	two := 2.0
	var runs []demo
	for _, success := range []float64{90, 80, 85} {
		d, err := newDemo(fmt.Appendf(nil, `{"duration_seconds":25,"calm_seconds":4,"stall_seconds":5,"policies":[
			{"name":"none","success_percent":%v,"stall_amplification":1,"recovered_after_seconds":null},
			{"name":"both","success_percent":%v,"stall_amplification":0.25,"recovered_after_seconds":%v}]}`, success/2, success, two))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, d)
	}
	runs[1].Policies[1].Back = nil
	for _, line := range []string{
		"| no retry | 42.5 % (40 to 45) | not in 16 s | 1.00x (1.00 to 1.00) |\n",
		"| evenkeel on both ends | 85.0 % (80 to 90) | 2 s (2 to never) | 0.25x (0.25 to 0.25) |\n",
		"| optimum | 93.4 % | | |\n",
	} {
		if got := demoTable(runs, 0.934); !strings.Contains(got, line) {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	rep := newReport(nil, 0, scenarios(false), []result{
		{Scenario: "stall.naive", Policy: "none", Recovered: never, Amplification: 1, Success: 0.488},
		{Scenario: "stall.naive", Policy: "evenkeel", Recovered: 1, Amplification: 0.1, Success: 0.884},
	})
	best, _ := find(t, "stall.naive", "none")
	optimum, _ := best.optimum(1)
	want := fmt.Sprintf("| serves nothing for 10 s | plain | not in 40 s / 1.00 / 48.8 %% |  |  | 1 s / 0.10 / 88.4 %% |  | %.1f %% |\n", 100*optimum)
	if got := rep.policiesTable(); !strings.Contains(got, want) {
		t.Errorf("no line %q in\n%s", want, got)
	}
	text, err := withTable("a\n<!-- x -->\n\nold\n\n<!-- end of x -->\nb\n", "x", "new\n")
	if want := "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n"; err != nil || text != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
	if _, err := withTable("a", "x", "new\n"); err == nil {
		t.Error("a text without marks has a table")
	}
}
