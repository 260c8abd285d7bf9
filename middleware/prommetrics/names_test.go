package prommetrics_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt anew")

var descText = regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)

// Names and labels of metrics, and the values of the labels that are closed lists,
// change only with a line in CHANGELOG.md: see TestFormats in package examples.
func TestMetricNames(t *testing.T) {
	m, err := prommetrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc, 1000)
	m.Describe(descs)
	close(descs)
	var lines []string
	for d := range descs {
		found := descText.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s is not understood", d)
		}
		lines = append(lines, fmt.Sprintf("%s{%s}", found[1], found[2]))
	}
	slices.Sort(lines)
	lines = slices.Compact(lines) // a metric may have a Desc for each value of a label
	for _, reason := range transport.StopReasons() {
		lines = append(lines, "client reason "+string(reason))
	}
	for _, reason := range middleware.ShedReasons() {
		lines = append(lines, "server reason "+string(reason))
	}
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the names are not those of %s. If that is meant, run go test -run MetricNames -update and say so in CHANGELOG.md:\n%s", file, got)
	}
}
