package examples_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A page that names a test as its proof names one that exists, in the package that it
// says.
func TestProofs(t *testing.T) {
	tests := testsByFolder(t)
	proof := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`(?: in ([a-z]+(?:/[a-z]+)*))?")
	named := 0
	for _, file := range markdown(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range proof.FindAllStringSubmatch(string(text), -1) {
			named++
			folders := tests[m[1]]
			if _, err := os.Stat(filepath.Join("..", m[2])); err != nil {
				t.Errorf("%s: %s is in %q, which does not exist", file, m[1], m[2])
			} else if len(folders) == 0 || m[2] != "" && !slices.Contains(folders, m[2]) {
				t.Errorf("%s names %s in %q, which is in %q", file, m[1], m[2], folders)
			}
		}
	}
	if named < 50 {
		t.Errorf("%d tests are named on the pages, want more", named)
	}
}

// testsByFolder returns the folders in which a test of a name is.
func testsByFolder(t *testing.T) map[string][]string {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	tests := make(map[string][]string)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = append(tests[m[1]], filepath.ToSlash(folder))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
