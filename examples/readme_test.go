package examples_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A page shows code, and the files below dir have it.
type page struct {
	file, dir string
	tests     bool // the code may be that of a test
}

var pages = []page{
	{"../README.md", ".", false},
	{"clients/README.md", "clients", true},
	{"clients/moving/README.md", "clients/moving", true},
	{"payments/README.md", "payments", false},
	{"recipes/README.md", "recipes", true},
	{"servers/README.md", "servers", true},
}

// Every Go block of a page is a region of a file in its directory, between the
// comments "// README: name" and "// README: end". So it compiles, and a test
// runs it. A diff is two blocks, the code before and the code after.
func TestPagesShowRealCode(t *testing.T) {
	for _, p := range pages {
		t.Run(p.file, func(t *testing.T) {
			text, err := os.ReadFile(p.file)
			if err != nil {
				t.Fatal(err)
			}
			regions, tests, err := p.code()
			if err != nil {
				t.Fatal(err)
			}
			blocks := goBlocks(string(text))
			if len(blocks) == 0 {
				t.Error("it has no Go block")
			}
			shown := make(map[string]bool)
			for _, block := range blocks {
				name := matching(block, regions)
				if name == "" {
					t.Errorf("this block is no region of a file under examples/%s:\n%s", p.dir, block)
				}
				shown[name] = true
			}
			for name := range regions {
				if !shown[name] {
					t.Errorf("it does not show the region %s", name)
				}
			}
			for _, dir := range regexp.MustCompile(`go run \./(examples/[a-z0-9/]+)`).FindAllStringSubmatch(string(text), -1) {
				if _, err := os.Stat(filepath.Join("..", dir[1])); err != nil {
					t.Errorf("it runs %s: %v", dir[1], err)
				}
			}
			if !p.tests {
				return
			}
			for _, name := range tests {
				if !strings.Contains(string(text), "`"+name+"`") {
					t.Errorf("it does not name %s", name)
				}
			}
			for _, named := range regexp.MustCompile("`((?:Test|Example)\\w+)`").FindAllStringSubmatch(string(text), -1) {
				if !slices.Contains(tests, named[1]) {
					t.Errorf("it names %s, which is not there", named[1])
				}
			}
		})
	}
}

// code returns the regions of the files below the directory, without those of
// the directories of other pages, and the names of its tests.
func (p page) code() (regions map[string]string, tests []string, err error) {
	regions = make(map[string]string)
	err = filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != p.dir && slices.ContainsFunc(pages, func(other page) bool { return other.dir == path }):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") && !p.tests:
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, test := range regexp.MustCompile(`(?m)^func ((?:Test|Example)\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			tests = append(tests, test[1])
		}
		found, err := regionsOf(string(source))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, code := range found {
			regions[path+" "+name] = code
		}
		return nil
	})
	return regions, tests, err
}

// matching returns the name of the region that is this code, or "".
func matching(code string, regions map[string]string) string {
	for name, region := range regions {
		if region == code {
			return name
		}
	}
	return ""
}

// goBlocks returns the contents of the code fences marked as Go, and both sides
// of those marked as diff.
func goBlocks(markdown string) []string {
	var blocks []string
	var block strings.Builder
	fence, lang := false, ""
	for line := range strings.Lines(markdown) {
		info, isFence := strings.CutPrefix(strings.TrimLeft(line, " \t>-*"), "```") // also in a list
		switch {
		case isFence && !fence:
			lang, _, _ = strings.Cut(strings.TrimSpace(info), " ")
			fence = true
			block.Reset()
		case isFence:
			switch lang {
			case "go":
				blocks = append(blocks, dedent(block.String()))
			case "diff":
				blocks = append(blocks, side(block.String(), '-'), side(block.String(), '+'))
			}
			fence = false
		case fence:
			block.WriteString(line)
		}
	}
	return blocks
}

// side returns one side of a diff: '-' is before, '+' is after.
func side(diff string, sign byte) string {
	var code strings.Builder
	for line := range strings.Lines(diff) {
		if line[0] == sign || line[0] == ' ' {
			code.WriteString(line[1:])
		}
	}
	return dedent(code.String())
}

// regionsOf returns the code between markers, by name.
func regionsOf(source string) (map[string]string, error) {
	regions := make(map[string]string)
	var code strings.Builder
	open := ""
	lines := bufio.NewScanner(strings.NewReader(source))
	for lines.Scan() {
		name, marker := strings.CutPrefix(strings.TrimSpace(lines.Text()), "// README: ")
		switch {
		case !marker && open == "":
		case !marker:
			code.WriteString(lines.Text() + "\n")
		case name == "end" && open == "":
			return regions, fmt.Errorf(`"// README: end" without a beginning`)
		case name == "end":
			regions[open], open = dedent(code.String()), ""
		case open != "":
			return regions, fmt.Errorf("region %s begins inside region %s", name, open)
		case regions[name] != "":
			return regions, fmt.Errorf("region %s is there twice", name)
		default:
			open = name
			code.Reset()
		}
	}
	if open != "" {
		return regions, fmt.Errorf("region %s has no end", open)
	}
	return regions, lines.Err()
}

// dedent removes the indentation that all lines share, and blank lines at both
// ends.
func dedent(code string) string {
	lines := strings.Split(strings.Trim(code, "\n"), "\n")
	shared := -1
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if indent := len(line) - len(strings.TrimLeft(line, "\t ")); shared < 0 || indent < shared {
			shared = indent
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(line[min(max(shared, 0), len(line)):], "\t ")
	}
	return strings.Join(lines, "\n")
}

func TestReadmeRegionsAreFound(t *testing.T) {
	const source = "func f() {\n\t// README: one\n\tif a {\n\n\t\tb()\n\t}\n\t// README: end\n\tc()\n}\n"
	const readme = "# T\n\n```sh\ngo test\n```\n\n```go\nif a {\n\n\tb()\n}\n```\n\n- ```go\n  c()\n  ```\n\n```diff\n-old()\n+if a {\n+\n+\tb()\n+}\n \n kept()\n```\n"
	regions, err := regionsOf(source)
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlocks(readme)
	if want := []string{"if a {\n\n\tb()\n}", "c()", "old()\n\nkept()", "if a {\n\n\tb()\n}\n\nkept()"}; !slices.Equal(blocks, want) {
		t.Fatalf("blocks %q, want %q", blocks, want)
	}
	if got := matching(blocks[0], regions); got != "one" {
		t.Errorf("block %q matches %q, want the region one of %q", blocks[0], got, regions)
	}
	if got := matching(blocks[1], regions); got != "" {
		t.Errorf("block %q is outside the region, but matches %q", blocks[1], got)
	}
	if got := matching("if a {\n\tb()\n}", regions); got != "" {
		t.Errorf("other code matches %q", got)
	}
	for _, wrong := range []string{
		"// README: end\n",
		"// README: one\n",
		"// README: one\n// README: two\n// README: end\n",
		"// README: one\na\n// README: end\n// README: one\nb\n// README: end\n",
	} {
		if got, err := regionsOf(wrong); err == nil {
			t.Errorf("no error for %q but %q", wrong, got)
		}
	}
}
