package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// promtool runs promtool, if it is installed. With EVENKEEL_PROMTOOL=required its
// absence is a failure.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("EVENKEEL_PROMTOOL") == "required" {
			t.Fatal(err)
		}
		t.Skip("promtool is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "--lint-fatal", "rules.yml")
	promtool(t, "", "test", "rules", "rules_test.yml")
}

func TestScrapeIsClean(t *testing.T) {
	promtool(t, scrape(t), "check", "metrics")
}

// The queries of the dashboard are checked as if they were rules.
func TestDashboardQueries(t *testing.T) {
	var file bytes.Buffer
	fmt.Fprintln(&file, "groups: [{name: dashboard, rules: [")
	for i, expr := range expressions(t) {
		fmt.Fprintf(&file, "{record: 'dashboard:query:%d', expr: %q},\n", i, expr)
	}
	fmt.Fprintln(&file, "]}]")
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}

// The command of the page, with a real Prometheus and, if it is installed, a real
// browser. Each query of the dashboard has a result, and the page draws each panel.
func TestRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prometheus"); err != nil {
		if os.Getenv("EVENKEEL_PROMTOOL") == "required" {
			t.Fatal(err)
		}
		t.Skip("prometheus is not installed")
	}
	out := &lines{prometheus: make(chan string, 1), panels: make(chan string, 1)}
	ctx, stop := testContext(t)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, config{addr: "127.0.0.1:0", prometheus: "prometheus"}, out) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var prom string
	select {
	case prom = <-out.prometheus:
	case err := <-ended:
		ended <- err
		t.Fatal("it ended by itself")
	case <-ctx.Done():
		t.Fatal("no Prometheus")
	}
	// It exists when the rules have been evaluated over a scrape.
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for !has(prom, `sum(evenkeel_client_calls_total{job="observe"}) > 0`) || !has(prom, `count({__name__=~".+:evenkeel_.+"}) >= 1`) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal("Prometheus did not scrape, or not evaluate the rules")
		}
	}
	for _, expr := range expressions(t) {
		for !late.MatchString(expr) && !has(prom, expr) {
			select {
			case <-poll.C:
			case <-ctx.Done():
				t.Fatalf("no result for %s", expr)
			}
		}
	}
	checkPage(t, prom, <-out.panels)
}

// checkPage opens the page in Chromium.
func checkPage(t *testing.T, prom, url string) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("EVENKEEL_CHROMIUM") == "required" {
			t.Fatal(err)
		}
		t.Log("the page is not checked: chromium is not installed")
		return
	}
	// Where there was no retry, a share of the retries is NaN, which nobody can draw.
	drawable := make(map[string]bool)
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			if has(prom, bound.Replace("("+target.Expr+") >= 0")) {
				drawable[p.Title] = true
			}
		}
	}
	page, err := exec.CommandContext(t.Context(), path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=10000", "--dump-dom", url).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, dom, _ := strings.Cut(string(page), "<main>") // after the style sheet
	if !strings.Contains(string(page), `data-drawn="yes"`) || strings.Contains(dom, `class="error"`) {
		t.Errorf("want a page that is drawn without an error, got:\n%s", page)
	}
	if len(drawable) < 15 || !drawable["Duration of calls"] {
		t.Errorf("panels with data: %v, want more", drawable)
	}
	for _, p := range panels(t) {
		_, figure, found := strings.Cut(dom, ">"+p.Title+"</figcaption>")
		figure, _, _ = strings.Cut(figure, "</figure>")
		if !found || !strings.Contains(figure, "<svg") || drawable[p.Title] && !strings.Contains(figure, `class="data"`) {
			t.Errorf("%s: want a panel with data, got:\n%s", p.Title, figure)
		}
	}
}

// has reports whether a query has a result.
func has(prom, query string) bool {
	req, err := http.NewRequest(http.MethodGet, prom+"/api/v1/query", nil)
	if err != nil {
		return false
	}
	values := req.URL.Query()
	values.Set("query", query)
	req.URL.RawQuery = values.Encode()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false // it is starting
	}
	defer resp.Body.Close()
	var answer struct{ Data struct{ Result []any } }
	return json.NewDecoder(resp.Body).Decode(&answer) == nil && len(answer.Data.Result) > 0
}

// lines finds the addresses in what run prints.
type lines struct{ prometheus, panels chan string }

func (l *lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "prometheus: "); ok {
			l.prometheus <- addr
		}
		if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "panels: "); ok {
			l.panels <- addr
		}
	}
	return len(p), nil
}
