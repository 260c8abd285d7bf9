package examples_test

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A release takes its notes from CHANGELOG.md by .ci/notes. Both need the form of Keep a
// Changelog: Unreleased, then the versions, the newest first, each with its day and a link.
func TestChangelog(t *testing.T) {
	data, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(data), -1)
	if len(headings) < 2 || headings[0][1] != "[Unreleased]" {
		t.Fatalf("got the sections %q, want [Unreleased] and then versions", headings)
	}
	if !strings.Contains(string(data), "\n[unreleased]: https://") {
		t.Error("no link for [unreleased]")
	}
	version := regexp.MustCompile(`^\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$`)
	newer := "9999-12-31"
	for _, heading := range headings[1:] {
		m := version.FindStringSubmatch(heading[1])
		if m == nil {
			t.Errorf("got section %q, want [VERSION] - YYYY-MM-DD", heading[1])
			continue
		}
		if _, err := time.Parse(time.DateOnly, m[2]); err != nil || m[2] > newer {
			t.Errorf("section %q: want a day, and the newest first", heading[1])
		}
		newer = m[2]
		if !strings.Contains(string(data), "\n["+m[1]+"]: https://") {
			t.Errorf("no link for [%s]", m[1])
		}
		bash, err := exec.LookPath("bash")
		if err != nil || runtime.GOOS == "windows" {
			continue
		}
		notes, err := exec.CommandContext(t.Context(), bash, "../.ci/notes", "v"+m[1]).Output()
		if err != nil {
			t.Errorf(".ci/notes v%s: %v", m[1], err)
			continue
		}
		if got := string(notes); !strings.Contains(got, "### ") || strings.Contains(got, "\n## ") || strings.Contains(got, "]: https://") {
			t.Errorf(".ci/notes v%s: want the text of its section alone, got:\n%s", m[1], got)
		}
	}
}
