package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A report is what a benchmark came to. Every figure is from its runs.
type report struct {
	Command   string
	Go        string
	CPUs      int
	Side      int // runs side by side; 0 in virtual time
	Refused   int // runs that do not count, since the machine was late
	Results   []result
	Runs      []result // without their seconds
	scenarios []scenario
	policies  []policy
}

func newReport(args []string, side int, all []scenario, runs []result) *report {
	rep := &report{
		Command: "go run ./storm " + strings.Join(args, " "),
		Go:      runtime.Version(), CPUs: runtime.NumCPU(), Side: side,
	}
	groups := map[[2]string][]result{}
	for _, r := range runs {
		if r.Refused != "" {
			rep.Refused++
		} else {
			key := [2]string{r.Scenario, r.Policy}
			groups[key] = append(groups[key], r)
		}
		r.Seconds = nil
		rep.Runs = append(rep.Runs, r)
	}
	for _, s := range all {
		for _, p := range policies() {
			if g := groups[[2]string{s.id, p.id}]; g != nil {
				rep.Results = append(rep.Results, median(g))
			}
		}
	}
	rep.know(all)
	return rep
}

// readReport reads the results.json of an earlier benchmark.
func readReport(name string, all []scenario) (*report, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("storm: %w", err)
	}
	rep := new(report)
	if err := json.Unmarshal(data, rep); err != nil {
		return nil, fmt.Errorf("storm: %s: %w", name, err)
	}
	rep.know(all)
	return rep, nil
}

// know keeps the scenarios of which there is a result.
func (rep *report) know(all []scenario) {
	rep.policies = policies()
	for _, s := range all {
		if slices.ContainsFunc(rep.Results, func(r result) bool { return r.Scenario == s.id }) {
			rep.scenarios = append(rep.scenarios, s)
		}
	}
}

func (rep *report) of(scenario, policy string) (result, bool) {
	i := slices.IndexFunc(rep.Results, func(r result) bool { return r.Scenario == scenario && r.Policy == policy })
	if i < 0 {
		return result{}, false
	}
	return rep.Results[i], true
}

// publish writes the report to a directory, or without one its tables to stdout.
func (rep *report) publish(dir string) error {
	if dir == "" {
		return rep.markdown(os.Stdout)
	}
	return rep.write(filepath.Clean(dir))
}

func (rep *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	var table bytes.Buffer
	if err := rep.markdown(&table); err != nil {
		return err
	}
	data, err := json.Marshal(rep)
	if err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	files := map[string][]byte{"results.json": data, "results.md": table.Bytes()}
	for _, s := range rep.scenarios {
		if s.kind == storm && !s.holdOut {
			files[s.id+".svg"] = rep.plot(s)
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("storm: %w", err)
		}
	}
	return nil
}

// cell is the line of a result in a table.
func (r *result) cell() string {
	if r.Seconds != nil && r.Recovered == never && r.Amplification == r.InAll {
		return fmt.Sprintf("%.4f / %.2f / p99 %.0f", r.Success, r.InAll, r.P99)
	}
	return fmt.Sprintf("%s / %.2f / %.3f", since(r.Recovered), r.Amplification, r.Success)
}

func since(seconds float64) string {
	if seconds == never {
		return "never"
	}
	return fmt.Sprintf("%g", seconds)
}

// A section is a table of scenarios that have the same figures.
type section struct {
	title, text string
	has         func(scenario) bool
	figures     func(result) string
}

func stormFigures(r result) string {
	return fmt.Sprintf("%s / %.2f / %.3f", since(r.Recovered), r.Amplification, r.Success)
}

func sections() []section {
	return []section{
		{
			"Storms", "Seconds after the fault until 99 % goodput is back / attempts per call while it lasts / success over the whole run.",
			func(s scenario) bool { return s.kind == storm && !s.holdOut },
			stormFigures,
		},
		{
			"Quiet days", "Success / attempts per call / p99 of the good calls in ms.",
			func(s scenario) bool { return s.kind == quiet },
			func(r result) string { return fmt.Sprintf("%.4f / %.3f / %.0f", r.Success, r.InAll, r.P99) },
		},
		{
			"Three tiers", "Attempts at the last service per call of the first / success.",
			func(s scenario) bool { return s.kind == tiers },
			func(r result) string { return fmt.Sprintf("%.2f / %.4f", r.InAll, r.Success) },
		},
		{
			"Hedging", "p50 / p99 / p99.9 of the good calls in ms / attempts per call.",
			func(s scenario) bool { return s.kind == hedge },
			func(r result) string { return fmt.Sprintf("%.0f / %.0f / %.0f / %.3f", r.P50, r.P99, r.P999, r.InAll) },
		},
		{
			"Hold-outs", "Chosen before any constant was tuned, and not tuned by. Figures as for the storms.",
			func(s scenario) bool { return s.holdOut },
			stormFigures,
		},
	}
}

func (rep *report) markdown(w io.Writer) error {
	var b strings.Builder
	runs := rep.runs()
	how := fmt.Sprintf("%d of which side by side, %s, %d CPUs", rep.Side, rep.Go, rep.CPUs)
	if rep.Side == 0 {
		how = "in virtual time, " + rep.Go
	}
	fmt.Fprintf(&b, "Medians of %d run(s), %s:\n\n    %s\n", runs, how, rep.Command)
	if rep.Refused > 0 {
		fmt.Fprintf(&b, "\n%d run(s) are left out, since the load generator or the server was late in them.\n", rep.Refused)
	}
	for _, sec := range sections() {
		var cols []scenario
		for _, s := range rep.scenarios {
			if sec.has(s) {
				cols = append(cols, s)
			}
		}
		if len(cols) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", sec.title, sec.text)
		for _, s := range cols {
			fmt.Fprintf(&b, "- `%s`: %s\n", s.id, s.title)
		}
		fmt.Fprint(&b, "\n| policy |")
		for _, s := range cols {
			fmt.Fprintf(&b, " %s |", s.id)
		}
		fmt.Fprint(&b, "\n|---|"+strings.Repeat("---|", len(cols))+"\n")
		for _, p := range rep.policies {
			line, any := "", false
			for _, s := range cols {
				cell := ""
				if r, ok := rep.of(s.id, p.id); ok {
					cell, any = sec.figures(r), true
				}
				line += " " + cell + " |"
			}
			if any {
				fmt.Fprintf(&b, "| %s |%s\n", p.name, line)
			}
		}
		if best, any := optima(cols, runs); any {
			fmt.Fprintf(&b, "| optimum |%s\n", best)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// runs is of how many runs the results are medians.
func (rep *report) runs() (most int) {
	for _, r := range rep.Results {
		most = max(most, r.Runs)
	}
	return most
}

// optima is the line of what the scenarios could have come to.
func optima(cols []scenario, runs int) (line string, any bool) {
	for _, s := range cols {
		best, known := s.meanOptimum(runs)
		if !known {
			line += " |"
			continue
		}
		line, any = line+fmt.Sprintf(" %.3f |", best), true
	}
	return line, any
}

// meanOptimum is the mean of the optima of so many seeds, from 1.
func (s *scenario) meanOptimum(runs int) (mean float64, known bool) {
	known = s.kind == storm && runs > 0
	for seed := uint64(1); known && seed <= uint64(runs); seed++ {
		var success float64
		success, known = s.optimum(seed)
		mean += success / float64(runs)
	}
	return mean, known
}
