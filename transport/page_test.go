package transport_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page of states in the package comment names nothing that is not there:
// each crossing has its Example, each reason to stop and each test exists.
func TestPageOfStates(t *testing.T) {
	page, sources := textOf(t, "doc.go"), ""
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		sources += textOf(t, f)
	}
	page = page[strings.Index(page, "// # States"):strings.Index(page, "// # What the caller gets")]
	options := map[string]string{"guard": "Transport_GuardState", "breaker": "WithBreaker", "budget": "WithBudget", "hedging": "WithHedging"}
	rows := regexp.MustCompile(`(?m)^//\t(\w+) × (\w+)`).FindAllStringSubmatch(page, -1)
	for _, row := range rows {
		example := "ExampleTransport_" + row[1]
		if option, ok := options[row[1]]; ok {
			example = "Example" + option + "_" + row[2]
		}
		if !strings.Contains(sources, "func "+example+"()") {
			t.Errorf("%s × %s: no %s", row[1], row[2], example)
		}
	}
	tests := regexp.MustCompile(`\bTest\w+`).FindAllString(page, -1)
	for _, test := range tests {
		if !strings.Contains(sources, "func "+test+"(t *testing.T)") {
			t.Errorf("no %s", test)
		}
	}
	table := page[strings.Index(page, "// Where two of them meet:"):]
	stops := regexp.MustCompile(`(?m)^//\t.{70,}  ([a-z_]+(?:, [a-z_]+)?)$`).FindAllStringSubmatch(table, -1)
	reasons := textOf(t, "errors.go")
	for _, stop := range stops {
		for word := range strings.SplitSeq(stop[1], ", ") {
			if !strings.Contains(reasons, `"`+word+`"`) {
				t.Errorf("%q is no StopReason", word)
			}
		}
	}
	if len(rows) < 10 || len(tests) < 5 || len(stops) < 10 {
		t.Errorf("found %d crossings, %d tests and %d reasons on the page", len(rows), len(tests), len(stops))
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
