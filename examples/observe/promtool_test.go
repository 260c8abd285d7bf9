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

// The command of the page, with a real Prometheus.
func TestRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prometheus"); err != nil {
		if os.Getenv("EVENKEEL_PROMTOOL") == "required" {
			t.Fatal(err)
		}
		t.Skip("prometheus is not installed")
	}
	out := &lines{found: make(chan string, 1)}
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
	case prom = <-out.found:
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

// lines finds the address of Prometheus in what run prints.
type lines struct{ found chan string }

func (l *lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "prometheus: "); ok {
			select {
			case l.found <- addr:
			default:
			}
		}
	}
	return len(p), nil
}
