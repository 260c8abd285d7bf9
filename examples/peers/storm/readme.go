package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// remake is the command that makes the tables of the README anew, and the
// reports that it links to.
const remake = "go test ./storm -run Readme -readme -v -timeout 60m"

// publishedReports are those in results.
func publishedReports() []reportOf {
	return []reportOf{
		{"storms", "stall.,drop.,spike.", "none,retryablehttp,failsafe-breaker,failsafe-limiter,failsafe-all,gobreaker,finagle,grpc,evenkeel,evenkeel-breaker"},
		{"quiet", "quiet,tiers,zone,hedge.30,hedge.50,hedge.70,hedge.80", "none,finagle,failsafe-limiter,evenkeel,evenkeel-hedge,failsafe-hedge"},
		{"holdout", "holdout", "none,failsafe-limiter,evenkeel"},
	}
}

// A reportOf says what is in a report.
type reportOf struct{ name, scenarios, policies string }

// columns of the README's table, of which the first names what is in the others.
var columns = []struct{ policy, name string }{
	{"none", "no retry"}, {"retryablehttp", "go-retryablehttp"}, {"failsafe-limiter", "failsafe-go"},
	{"evenkeel", "evenkeel"}, {"evenkeel-breaker", "evenkeel, breaker"},
}

// policiesTable is the README's table of storms, with what was possible.
func (rep *report) policiesTable() string {
	var b strings.Builder
	b.WriteString("| the backend | its server |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	fmt.Fprintf(&b, " optimum |\n|---|---|%s---|\n", strings.Repeat("---|", len(columns)))
	for _, fault := range []struct{ id, name string }{
		{"stall", "serves nothing for 10 s"}, {"drop", "loses 4 of 5 workers for 10 s"}, {"spike", "gets twice the calls for 10 s"},
	} {
		for _, server := range []struct{ id, name string }{{naive, "plain"}, {ours, "evenkeel"}} {
			fmt.Fprintf(&b, "| %s | %s |", fault.name, server.name)
			optimum := ""
			for _, s := range rep.scenarios {
				if s.id != fault.id+"."+server.id {
					continue
				}
				for _, c := range columns {
					cell := ""
					if r, ok := rep.of(s.id, c.policy); ok {
						cell = fmt.Sprintf("%s / %.2f / %.1f %%", backIn(r.Recovered, s.after), r.Amplification, 100*r.Success)
					}
					fmt.Fprintf(&b, " %s |", cell)
				}
				if best, known := s.meanOptimum(rep.runs()); known {
					optimum = fmt.Sprintf("%.1f %%", 100*best)
				}
			}
			fmt.Fprintf(&b, " %s |\n", optimum)
		}
	}
	return b.String()
}

func backIn(seconds float64, of time.Duration) string {
	if seconds == never {
		return fmt.Sprintf("not in %g s", of.Seconds())
	}
	return fmt.Sprintf("%g s", seconds)
}

// A demo is what examples/storm prints with -json, as far as the README shows it.
type demo struct {
	Duration float64 `json:"duration_seconds"`
	Calm     float64 `json:"calm_seconds"`
	Stall    float64 `json:"stall_seconds"`
	Policies []struct {
		Name    string   `json:"name"`
		Success float64  `json:"success_percent"`
		Load    float64  `json:"stall_amplification"`
		Back    *float64 `json:"recovered_after_seconds"`
	}
}

// newDemo reads what examples/storm printed.
func newDemo(text []byte) (d demo, err error) {
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("storm: examples/storm: %w", err)
	}
	return d, nil
}

// demoTable is the README's first table: medians of the runs, with the lowest
// and the highest.
func demoTable(runs []demo, optimum float64) string {
	var b strings.Builder
	b.WriteString("| `go run ./examples/storm` | calls answered | back after the stall | load during the stall |\n|---|---|---|---|\n")
	names := map[string]string{"client": "evenkeel on the client", "both": "evenkeel on both ends", "none": "no retry", "retryablehttp": "go-retryablehttp"}
	for i, p := range runs[0].Policies {
		rest := runs[0].Duration - runs[0].Calm - runs[0].Stall
		var success, load, back []float64
		for _, r := range runs {
			q := r.Policies[i]
			success, load = append(success, q.Success), append(load, q.Load)
			if q.Back == nil {
				back = append(back, rest+1)
			} else {
				back = append(back, *q.Back)
			}
		}
		seconds := spanOf(back, "%.0f s", "%.0f")
		switch slices.Sort(back); {
		case back[len(back)/2] > rest:
			seconds = fmt.Sprintf("not in %.0f s", rest)
		case back[len(back)-1] > rest:
			seconds = fmt.Sprintf("%.0f s (%.0f to never)", back[len(back)/2], back[0])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cmp.Or(names[p.Name], p.Name), spanOf(success, "%.1f %%", "%.0f"), seconds, spanOf(load, "%.2fx", "%.2f"))
	}
	fmt.Fprintf(&b, "| optimum | %.1f %% | | |\n", 100*optimum)
	return b.String()
}

// spanOf formats the median, and the lowest and the highest.
func spanOf(values []float64, one, end string) string {
	values = slices.Sorted(slices.Values(values))
	return fmt.Sprintf(one+" ("+end+" to "+end+")", values[len(values)/2], values[0], values[len(values)-1])
}

// withTable returns the text with another table between the marks of that name.
func withTable(text, name, table string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	from := strings.Index(text, begin)
	to := strings.Index(text, end)
	if from < 0 || to < from {
		return text, fmt.Errorf("storm: no marks %q and %q around a table", strings.TrimSpace(begin), end)
	}
	return text[:from+len(begin)] + "\n" + table + "\n" + text[to:], nil
}
