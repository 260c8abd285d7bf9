package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each row is the body of a func and all that is changed in it.
func TestMutantsIn(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		want []string
	}{
		"comparison": {"return a < b", []string{"< -> <=", "< -> >="}},
		"equality":   {"return a == b", []string{"== -> !="}},
		"logic":      {"return x && y", []string{"&& -> ||"}},
		"arithmetic": {"return a * b", []string{"* -> /"}},
		"number":     {"return 1_000", []string{"1_000 -> 1001"}},
		"min":        {"return min(a, b)", []string{"min -> max"}},
		"condition":  {"if x {\n}", []string{"x -> (x) || true", "x -> (x) && false"}},
		"loop":       {"for x {\n}", []string{"x -> false"}},
		"case":       {"switch {\ncase x:\n}", []string{"x -> (x) || true", "x -> (x) && false"}},
		"case value": {"switch a {\ncase b:\n}", nil},
		"call":       {"f()", []string{"f() -> (left out)"}},
		"assignment": {"a = b", []string{"a = b -> _ = b"}},
		"new name":   {"a := b", nil},
		"increment":  {"a++", []string{"a++ -> (left out)", "++ -> --"}},
		"error text": {`return fmt.Errorf("%d", 1)`, nil},
		"panic":      {"panic(1)", []string{"panic(1) -> (left out)"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mutantsIn(&source{path: "a.go", text: []byte("package a\nfunc g() {\n" + row.body + "\n}\n")})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, m := range got {
				_, change, _ := strings.Cut(m.String(), ": ")
				lines = append(lines, change)
			}
			if !slices.Equal(lines, row.want) {
				t.Errorf("got %q, want %q", lines, row.want)
			}
		})
	}
}

// A package of which the tests look at one func and not at the other.
func TestMutatePackage(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module a\n\ngo 1.26\n",
		"a.go":      "package a\n\nfunc Tested(a, b int) bool { return a < b }\n\nfunc Not(a, b int) int { return a + b }\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {\n\tif Tested(1, 1) || !Tested(0, 1) {\n\t\tt.Fail()\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := mutatePackage(settings{jobs: 2}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2.0 / 3; got != want {
		t.Errorf("the share noticed is %v, want %v: both changes of < and not that of +", got, want)
	}
	if _, err := mutatePackage(settings{jobs: 1, files: "none.go"}, dir); err == nil {
		t.Error("no error for a file that is not there")
	}
}
