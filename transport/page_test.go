package transport_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

// The README names nothing that is not there: each pair of states has its Example,
// each StopReason, test and file exists.
func TestReadme(t *testing.T) {
	page, sources := textOf(t, "README.md"), ""
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		sources += textOf(t, f)
	}
	options := map[string]string{"guard": "Transport_GuardState", "breaker": "WithBreaker", "budget": "WithBudget", "pacing": "WithPacing", "in_flight": "WithInFlight", "hedging": "WithHedging"}
	pairs := regexp.MustCompile(`(?m)^\| (\w+) × (\w+) \|`).FindAllStringSubmatch(page, -1)
	for _, pair := range pairs {
		example := "ExampleTransport_" + pair[1]
		if of, ok := options[pair[1]]; ok {
			example = "Example" + of + "_" + pair[2]
		}
		if !strings.Contains(sources, "func "+example+"()") {
			t.Errorf("%s × %s: no %s", pair[1], pair[2], example)
		}
	}
	tests := regexp.MustCompile("`((?:Test|Example)\\w+)`").FindAllStringSubmatch(page, -1)
	for _, test := range tests {
		if !strings.Contains(sources, "func "+test[1]+"(") {
			t.Errorf("no %s", test[1])
		}
	}
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(page, -1)
	for _, link := range links {
		if _, err := os.Stat(link[1]); err != nil {
			t.Error(err)
		}
	}
	reasons := map[string]bool{}
	for _, reason := range transport.StopReasons() {
		reasons[string(reason)] = true
	}
	_, table, _ := strings.Cut(page, "| StopReason |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	stops := regexp.MustCompile(`(?m)\| ([a-z_]+(?:, [a-z_]+)*) \|$`).FindAllStringSubmatch(table, -1)
	for _, stop := range stops {
		for word := range strings.SplitSeq(stop[1], ", ") {
			if !reasons[word] {
				t.Errorf("%q is no StopReason", word)
			}
		}
	}
	if len(pairs) < 10 || len(tests) < 5 || len(links) < 10 || len(stops) < 15 {
		t.Errorf("found %d pairs, %d tests, %d links and %d reasons in the README", len(pairs), len(tests), len(links), len(stops))
	}
}

func textOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
