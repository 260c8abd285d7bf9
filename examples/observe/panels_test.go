package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A panel is what these tests read of a panel of the dashboard.
type panel struct {
	Title, Type, Description string
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Thresholds struct{ Steps []struct{ Value *float64 } }
			Custom     struct{ ThresholdsStyle struct{ Mode string } }
		}
	}
	Targets []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(dashboard.Panels, func(p panel) bool { return p.Type == "row" })
	if len(all) < 20 {
		t.Fatalf("%d panels, want more", len(all))
	}
	return all
}

// A row is what the table of metrics says of a metric.
type row struct {
	unit   string
	labels []string
	todo   string
}

// table reads the rows of README.md.
func table(t *testing.T) map[string]row {
	t.Helper()
	rows := make(map[string]row)
	for _, m := range regexp.MustCompile("(?m)^\\| `(evenkeel_\\w+)` \\| (.*?) \\| .*? \\| (.*?) \\|$").FindAllStringSubmatch(read(t, "README.md"), -1) {
		unit, by, _ := strings.Cut(m[2], ", by ")
		labels := []string{"job", "instance"} // of every scrape
		for _, label := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(by, -1) {
			labels = append(labels, label[1])
		}
		rows[m[1]] = row{unit, labels, m[3]}
	}
	return rows
}

var (
	metricName = regexp.MustCompile(`\bevenkeel_[a-z_]+`)
	matcher    = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	inLegend   = regexp.MustCompile(`{{(\w+)}}`)
	suffix     = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// unitOf is Grafana's unit for a query, by what the table says of its metrics.
func unitOf(expr string, rows map[string]row) string {
	names := metricName.FindAllString(expr, -1)
	first := rows[suffix.ReplaceAllString(names[0], "")].unit
	seconds := strings.HasPrefix(first, "seconds")
	mean := strings.HasSuffix(names[0], "_sum")
	over := strings.Contains(expr, ") / ")
	switch {
	case strings.Contains(expr, "histogram_quantile("), mean && over:
		if seconds {
			return "s"
		}
		return "short"
	case over:
		return "percentunit"
	case strings.Contains(expr, "rate("):
		if seconds {
			return "short" // seconds per second
		}
		return "reqps"
	case strings.Contains(expr, "increase("):
		return "short"
	case strings.Contains(first, "per second"):
		return "reqps"
	case seconds:
		return "s"
	}
	return "short"
}

// The unit, the labels and the legend of each query are those of the table of metrics.
func TestPanelsAgreeWithTheTable(t *testing.T) {
	rows := table(t)
	if names := registered(t); !slices.Equal(names, slices.Sorted(maps.Keys(rows))) {
		t.Fatalf("the table has the metrics %q, want %q", slices.Sorted(maps.Keys(rows)), names)
	}
	for _, p := range panels(t) {
		legends := make(map[string]bool)
		for _, target := range p.Targets {
			if got, want := p.FieldConfig.Defaults.Unit, unitOf(target.Expr, rows); got != want {
				t.Errorf("%s: unit %q, want %q for %s", p.Title, got, want, target.Expr)
			}
			var known []string
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				known = append(known, rows[suffix.ReplaceAllString(name, "")].labels...)
				counts := strings.HasSuffix(name, "_total") || suffix.MatchString(name) || strings.Contains(target.Expr, "histogram_quantile(")
				if counts != regexp.MustCompile(`(rate|increase)\(`+name+`\b`).MatchString(target.Expr) {
					t.Errorf("%s: want the rate of a counter and the value of a gauge, got %s", p.Title, target.Expr)
				}
			}
			for _, m := range matcher.FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(known, m[1]) {
					t.Errorf("%s: the table has no label %s for %s", p.Title, m[1], target.Expr)
				}
			}
			var by, shown []string
			if m := grouping.FindStringSubmatch(target.Expr); m != nil {
				by = slices.DeleteFunc(strings.Split(m[1], ", "), func(label string) bool { return label == "le" })
			}
			for _, m := range inLegend.FindAllStringSubmatch(target.LegendFormat, -1) {
				shown = append(shown, m[1])
			}
			slices.Sort(by)
			slices.Sort(shown)
			if !slices.Equal(by, shown) {
				t.Errorf("%s: legend %q, want the labels %q of %s", p.Title, target.LegendFormat, by, target.Expr)
			}
			for _, label := range by {
				if !slices.Contains(known, label) {
					t.Errorf("%s: the table has no label %s for %s", p.Title, label, target.Expr)
				}
			}
			if target.LegendFormat == "" || legends[target.LegendFormat] {
				t.Errorf("%s: legend %q, want one for each query", p.Title, target.LegendFormat)
			}
			legends[target.LegendFormat] = true
		}
	}
}

// recorded are the expressions of rules.yml by their names, with the names that they
// use replaced by what those stand for.
func recordedExpressions(t *testing.T) map[string]string {
	t.Helper()
	records := make(map[string]string)
	for item := range strings.SplitSeq(read(t, "rules.yml"), "      - record: ") {
		name, rest, ok := strings.Cut(item, "\n        expr: ")
		if !ok || strings.ContainsAny(name, " \n") {
			continue
		}
		rest, _, _ = strings.Cut(rest, "\n\n")
		records[name] = strings.TrimPrefix(rest, "|")
	}
	use := regexp.MustCompile(`\b\w+:evenkeel_\w+:\w+`)
	for name := range records {
		for use.MatchString(records[name]) {
			records[name] = use.ReplaceAllStringFunc(records[name], func(used string) string { return records[used] })
		}
	}
	return records
}

// bare is an expression without what the dashboard needs for its variables.
func bare(expr string) string {
	return strings.NewReplacer(
		"by (job, service)", "by(service)", "$__rate_interval", "5m",
		`job=~"$job", service=~"$service", `, "", `{job=~"$job", service=~"$service"}`, "",
		`job=~"$job", `, "", `{job=~"$job"}`, "", "\n", "", " ", "",
	).Replace(expr)
}

// Each line across a panel is where an alert begins or where the table says that there
// is something to do, and each alert for a ratio has its line.
func TestThresholdsAreThoseOfTheAlerts(t *testing.T) {
	want := make(map[string]float64) // by the bare expression
	records := recordedExpressions(t)
	for _, m := range regexp.MustCompile(`expr: (\w+:evenkeel_\w+_ratio:\w+) [<>] ([0-9.]+)`).FindAllStringSubmatch(read(t, "rules.yml"), -1) {
		limit, err := strconv.ParseFloat(m[2], 64)
		if err != nil || records[m[1]] == "" {
			t.Fatalf("cannot read the rule %q", m[0])
		}
		want[bare(records[m[1]])] = limit
	}
	if len(want) < 4 {
		t.Fatalf("%d alerts for a ratio, want more", len(want))
	}
	const mean = `sumby(service)(rate(evenkeel_client_call_attempts_sum[5m]))/sumby(service)(rate(evenkeel_client_call_attempts_count[5m]))`
	above := regexp.MustCompile(`an average above ([0-9.]+)`).FindStringSubmatch(table(t)["evenkeel_client_call_attempts"].todo)
	if above == nil {
		t.Fatal("the table has no limit for evenkeel_client_call_attempts")
	}
	want[mean], _ = strconv.ParseFloat(above[1], 64)
	// An alert that begins above 0, for what is 0 or 1.
	want[`maxby(service)(evenkeel_breaker_state{state="open"})`] = 1

	for _, p := range panels(t) {
		var limits []float64
		for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
			if step.Value != nil {
				limits = append(limits, *step.Value)
			}
		}
		if mode := p.FieldConfig.Defaults.Custom.ThresholdsStyle.Mode; len(limits) > 0 && p.Type == "timeseries" && mode != "line" {
			t.Errorf("%s: thresholds are drawn as %q, want a line", p.Title, mode)
		}
		var due []float64
		for _, target := range p.Targets {
			if limit, ok := want[bare(target.Expr)]; ok {
				due = append(due, limit)
				delete(want, bare(target.Expr))
			}
		}
		if !slices.Equal(limits, due) {
			t.Errorf("%s: lines at %v, want %v", p.Title, limits, due)
		}
	}
	for expr, limit := range want {
		t.Errorf("no panel has a line at %v for %s", limit, expr)
	}
}
