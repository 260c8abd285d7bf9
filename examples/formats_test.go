package examples_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// formats are the files that record what others depend on: headers on the wire,
// files with a policy and its defaults, names of metrics.
var formats = []string{
	"headers/testdata/wire.json",
	"transport/testdata/policy.json",
	"middleware/prommetrics/testdata/metrics.txt",
}

// The tests of the packages compare what the code does with these files. This one
// makes sure that a file changes only together with CHANGELOG.md, which has a line
// with the digest of its content for each time that it changed.
func TestFormats(t *testing.T) {
	changelog, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range formats {
		data, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		// A checkout may have other line ends.
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		line := fmt.Sprintf("- `%s` %.4x: ", file, sha256.Sum256([]byte(text)))
		if !strings.Contains(string(changelog), line) {
			t.Errorf("%s has changed: say what changed in a line of CHANGELOG.md that begins with %q", file, line)
		}
	}
}
