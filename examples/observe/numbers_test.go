package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scraped runs the stack through some phases and returns its metrics page.
var scraped = sync.OnceValues(func() (string, error) {
	registry := prometheus.NewRegistry()
	s, err := newStack(registry, "", io.Discard)
	if err != nil {
		return "", err
	}
	defer s.close()
	for _, w := range []struct {
		phase
		waves, calls int
	}{
		{phase{name: "calm"}, 1, 20},
		{phase{name: "outage", failing: 1}, 10, 12}, // few enough at a time that none is shed
		{phase{name: "overload", latency: 20 * time.Millisecond}, 1, 100},
	} {
		// Long enough for a retry, but not for the Retry-After of a server that sheds.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s.backend.now.Store(&w.phase)
		for range w.waves {
			var calls sync.WaitGroup
			for range w.calls {
				calls.Go(func() { s.call(ctx) })
			}
			calls.Wait()
		}
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String(), nil
})

func scrape(t *testing.T) string {
	t.Helper()
	page, err := scraped()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// registered are the names of all metrics that prommetrics has.
func registered(t *testing.T) []string {
	t.Helper()
	m, err := prommetrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		m.Describe(descs)
		close(descs)
	}()
	var names []string
	for d := range descs {
		names = append(names, regexp.MustCompile(`fqName: "(.*?)"`).FindStringSubmatch(d.String())[1])
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 30 {
		t.Fatalf("metrics %v, want more", names)
	}
	return names
}

// Each metric has a row that says what it means, and each row has a metric.
func TestEveryMetricIsExplained(t *testing.T) {
	var rows []string
	for line := range strings.Lines(read(t, "README.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.Trim(cells[0], " `")
		if !strings.HasPrefix(line, "| `evenkeel_") {
			continue
		}
		rows = append(rows, name)
		if len(cells) != 4 || slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Errorf("%s has %d cells, want name, unit, when it moves and what to do", name, len(cells))
		}
	}
	names := registered(t)
	for _, name := range names {
		if !slices.Contains(rows, name) {
			t.Errorf("%s has no row", name)
		}
	}
	for _, row := range rows {
		if !slices.Contains(names, row) {
			t.Errorf("there is a row for %s, which is no metric", row)
		}
	}
}

// Each label and stop reason that the page explains exists.
func TestEveryStopReasonIsExplained(t *testing.T) {
	page := read(t, "README.md")
	for _, m := range regexp.MustCompile(`evenkeel_client_calls_total\{service="users",stop="(\w+)"\}`).FindAllStringSubmatch(scrape(t), -1) {
		if m[1] != "other" && !strings.Contains(page, "| `"+m[1]+"` |") {
			t.Errorf("the stop reason %s has no row", m[1])
		}
	}
}

// bound sets the variables of the dashboard.
var bound = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$service", ".*")

// expressions are the queries of the dashboard, as a rules file can hold them.
func expressions(t *testing.T) []string {
	t.Helper()
	var exprs []string
	for _, p := range panels(t) {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: want a title, a description and a query", p.Title)
		}
		for _, target := range p.Targets {
			exprs = append(exprs, bound.Replace(target.Expr))
		}
	}
	return exprs
}

// late are the figures of the fleet, which are not known in the first half minute.
var late = regexp.MustCompile(`evenkeel_fleet_budget_(instances|(requests|retries|refused)_per_second)\b`)

// A scrape of the example has every metric that dashboard and rules query.
func TestEveryMetricAskedForIsThere(t *testing.T) {
	asked := regexp.MustCompile(`\bevenkeel_[a-z_]+`)
	recorded := regexp.MustCompile(`\b\w+:evenkeel_[a-z_]+:\w+`)
	page := scrape(t)
	text := read(t, "rules.yml") + read(t, "README.md") + strings.Join(expressions(t), "\n")
	names := asked.FindAllString(recorded.ReplaceAllString(text, ""), -1)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if late.MatchString(name) {
			continue
		}
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !strings.Contains(page, "\n"+name+"{") && !strings.Contains(page, "\n"+name+" ") && !strings.Contains(page, "# TYPE "+base+" histogram\n") {
			t.Errorf("%s is asked for, and is not in the scrape", name)
		}
	}
}

// Every recorded metric that a rule uses is recorded.
func TestEveryRecordedNameIsThere(t *testing.T) {
	text := read(t, "rules.yml")
	for _, name := range regexp.MustCompile(`\b\w+:evenkeel_[a-z_]+:\w+`).FindAllString(text, -1) {
		if !strings.Contains(text, "record: "+name+"\n") {
			t.Errorf("%s is used and not recorded", name)
		}
	}
}

// Each alert has a paragraph in the runbook, a link to it, and a test.
func TestEveryAlertHasARunbook(t *testing.T) {
	rules, page, tests := read(t, "rules.yml"), read(t, "README.md"), read(t, "rules_test.yml")
	alerts := regexp.MustCompile(`alert: (\w+)\n`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 5 {
		t.Fatalf("alerts %v, want more", alerts)
	}
	for _, a := range alerts {
		if !regexp.MustCompile(`(?m)^### ` + a[1] + "\n\n\\w").MatchString(page) {
			t.Errorf("%s has no paragraph", a[1])
		}
		if !strings.Contains(rules, "#"+strings.ToLower(a[1])+"\n") {
			t.Errorf("%s has no link to its paragraph", a[1])
		}
		if !regexp.MustCompile(`alertname: ` + a[1] + "\n(.*\n){1,2}? *exp_alerts:").MatchString(tests) {
			t.Errorf("%s has no test in which it fires", a[1])
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(strings.ToLower(page), "### "+link[1]+"\n") {
			t.Errorf("a link to #%s, which is no heading", link[1])
		}
	}
}
