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

// markdown returns the pages of the repository.
func markdown(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(files, filepath.Join("..", "README.md")) {
		t.Fatalf("pages %q, want README.md among them", files)
	}
	return files
}

// A link to a file of the repository leads to one that exists, and its anchor to
// a heading. A link to an example or a name on pkg.go.dev leads to one too.
func TestLinks(t *testing.T) {
	for _, file := range markdown(t) {
		text := read(t, file)
		for _, broken := range brokenLinks(t, file, text) {
			t.Errorf("%s links to %s", strings.TrimPrefix(file, "../"), broken)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func brokenLinks(t *testing.T, file, text string) (broken []string) {
	t.Helper()
	for _, match := range link.FindAllStringSubmatch(text, -1) {
		if name, ok := strings.CutPrefix(match[1], "https://pkg.go.dev/"+module+"/"); ok {
			if !documented(t, name) {
				broken = append(broken, match[1])
			}
			continue
		}
		if strings.Contains(match[1], "://") {
			continue
		}
		path, anchor, _ := strings.Cut(match[1], "#")
		target, page := file, text
		if path != "" {
			target = filepath.Join(filepath.Dir(file), path)
			if _, err := os.Stat(target); err != nil {
				broken = append(broken, match[1])
				continue
			}
		}
		if anchor == "" {
			continue
		}
		if target != file {
			page = read(t, target)
		}
		if !slices.Contains(anchors(page), anchor) {
			broken = append(broken, match[1])
		}
	}
	return broken
}

// documented reports whether pkg.go.dev has this example or name of a package, such
// as transport#example-New and transport#New.
func documented(t *testing.T, link string) bool {
	t.Helper()
	folder, name, _ := strings.Cut(link, "#")
	declared := `(?m)^(func|type) ` + name + `\b`
	if example, ok := strings.CutPrefix(name, "example-"); ok {
		declared = `(?m)^func Example` + strings.ReplaceAll(strings.TrimPrefix(example, "package"), ".", "_") + `\(`
	}
	files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		return regexp.MustCompile(declared).MatchString(read(t, file))
	})
}

// anchors returns what GitHub makes of the headings of a page.
func anchors(page string) (found []string) {
	fence := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fence = !fence
		}
		title := strings.TrimLeft(line, "#")
		if fence || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		found = append(found, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
				return r
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(title))))
	}
	return found
}

func TestBrokenLinksAreFound(t *testing.T) {
	const page = "# The page\n\n## What it's for, `really`?\n\n```sh\n# no heading\n```\n" +
		"[a](#the-page) [b](#whats-for) [c](#whats-it-for) [d](#no-heading) [e](gone.md) [f](links_test.go) [g](https://go.dev/x) " +
		"[h](#what-its-for-really) [i](../README.md#no-such-heading) " +
		"[j](https://pkg.go.dev/" + module + "/transport#example-New) [k](https://pkg.go.dev/" + module + "/transport#example-Gone) " +
		"[l](https://pkg.go.dev/" + module + "/transport#Policy)\n"
	got := brokenLinks(t, "page.md", page)
	if want := []string{"#whats-for", "#whats-it-for", "#no-heading", "gone.md", "../README.md#no-such-heading",
		"https://pkg.go.dev/" + module + "/transport#example-Gone"}; !slices.Equal(got, want) {
		t.Errorf("broken links %q, want %q", got, want)
	}
}

var heldBy = regexp.MustCompile("`((?:Test|Fuzz)\\w+)` in ([a-z/]+)")

// Each row of the threat table names the tests that hold it.
func TestSecurityNamesTests(t *testing.T) {
	text := read(t, "../.github/SECURITY.md")
	rows := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| who | can") {
			continue
		}
		rows++
		named := heldBy.FindAllStringSubmatch(line, -1)
		if len(named) == 0 || len(named) != strings.Count(line, "`Test")+strings.Count(line, "`Fuzz") {
			t.Errorf("this row does not name each test as `TestName` in package: %s", line)
		}
	}
	if rows < 10 {
		t.Errorf("%d rows, want the whole table", rows)
	}
}

// A page that names a test, as `TestName` in package, names one that exists.
func TestNamedTests(t *testing.T) {
	named := 0
	for _, file := range markdown(t) {
		for _, n := range heldBy.FindAllStringSubmatch(read(t, file), -1) {
			named++
			if !hasTest(t, filepath.Join("..", n[2]), n[1]) {
				t.Errorf("%s: there is no %s in %s", strings.TrimPrefix(file, "../"), n[1], n[2])
			}
		}
	}
	if named < 20 {
		t.Errorf("found %d names, want those of SECURITY.md at least", named)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		return strings.Contains(read(t, file), "\nfunc "+name+"(")
	})
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
