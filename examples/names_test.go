package examples_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostNames bounds what the packages export together: types, funcs, variables
// and constants. What belongs to a type is learnt with it and not counted: its
// methods, its fields, and the constants that list its values.
const mostNames = 299

// surface is what one package exports.
type surface struct {
	suite        bool // of tests
	names        []string
	values       []string // constants that list the values of a type
	undocumented []string
	bare         []string // options without an Example of their own that go test runs
}

// There are few names to learn, all are documented, and every option has an
// Example to copy from.
func TestNames(t *testing.T) {
	total, values := 0, 0
	for _, folder := range exporting(t) {
		s := surfaceIn(t, folder)
		total += len(s.names)
		values += len(s.values)
		t.Logf("%s: %d names, %d values", folder, len(s.names), len(s.values))
		for _, name := range s.undocumented {
			t.Errorf("%s: %s has no doc comment", folder, name)
		}
		for _, name := range s.bare {
			t.Errorf("%s: no Example%s with an Output", folder, name)
		}
	}
	t.Logf("%d names, %d values", total, values)
	if total > mostNames {
		t.Errorf("%d exported names, want at most %d: nobody needs some of them", total, mostNames)
	}
}

// exporting returns the folders of the packages that others can import.
func exporting(t *testing.T) []string {
	t.Helper()
	var folders []string
	for name := range goList(t) {
		folder, ok := folderOf(name)
		if ok && !strings.HasPrefix(folder, "examples/") && folder != "examples" && !strings.Contains(folder, "/internal/") {
			folders = append(folders, folder)
		}
	}
	slices.Sort(folders)
	return folders
}

// surfaceIn reads the files of a package, with its tests, for their Examples.
func surfaceIn(t *testing.T, folder string) surface {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return surfaceOf(t, fset, files)
}

func surfaceOf(t *testing.T, fset *token.FileSet, files []*ast.File) surface {
	t.Helper()
	p, err := doc.NewFromFiles(fset, files, module)
	if err != nil {
		t.Fatal(err)
	}
	s := surface{suite: strings.HasSuffix(p.Name, "test")}
	s.document("package "+p.Name, p.Doc)
	s.funcs(p.Funcs, false)
	s.names = append(s.names, s.constants(p.Consts)...)
	s.names = append(s.names, s.constants(p.Vars)...)
	for _, typ := range p.Types {
		s.names = append(s.names, typ.Name)
		s.document(typ.Name, typ.Doc)
		s.funcs(typ.Funcs, strings.HasSuffix(typ.Name, "Option"))
		s.names = append(s.names, s.constants(typ.Vars)...)
		s.values = append(s.values, s.constants(typ.Consts)...)
		for _, m := range typ.Methods {
			if !slices.Contains(ofInterfaces, m.Name) {
				s.document(typ.Name+"."+m.Name, m.Doc)
			}
		}
	}
	return s
}

// ofInterfaces are methods that everybody knows.
var ofInterfaces = []string{"Error", "String", "Unwrap", "Close", "Read", "Timeout"}

func (s *surface) document(name, text string) {
	if text == "" {
		s.undocumented = append(s.undocumented, name)
	}
}

// funcs adds the funcs of the package, or those that return a type.
func (s *surface) funcs(funcs []*doc.Func, options bool) {
	for _, f := range funcs {
		s.names = append(s.names, f.Name)
		s.document(f.Name, f.Doc)
		if options && strings.HasPrefix(f.Name, "With") && !slices.ContainsFunc(f.Examples, s.runs) {
			s.bare = append(s.bare, f.Name)
		}
	}
}

// runs reports whether go test runs an Example: one without an Output is only compiled.
// That is all that an Example of a suite of tests can be, which needs a *testing.T.
func (s *surface) runs(e *doc.Example) bool { return e.Output != "" || e.EmptyOutput || s.suite }

// constants returns the names of constants or variables. What documents one may
// also stand over its group, or behind it on its line.
func (s *surface) constants(groups []*doc.Value) []string {
	var names []string
	for _, group := range groups {
		for _, spec := range group.Decl.Specs {
			spec := spec.(*ast.ValueSpec)
			for _, name := range spec.Names {
				if name.IsExported() {
					names = append(names, name.Name)
					s.document(name.Name, group.Doc+spec.Doc.Text()+spec.Comment.Text())
				}
			}
		}
	}
	return names
}

// The test is worth something only if it can fail.
func TestNamesCanFail(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	for name, text := range map[string]string{
		"a.go": `package a
// A State is open or not.
type State int
const (
	Closed State = iota // not open
	Open
)
// Limit is a bound.
const Limit = 1
type hidden int
func (hidden) Hidden() {}
func (State) String() string { return "" }
func (State) Bare() {}
// An Option is one.
type Option int
// WithA sets a.
func WithA() Option { return 0 }
func WithB() Option { return 0 }
// WithC has an Example that never runs.
func WithC() Option { return 0 }
// WithContext is no option.
func WithContext() {}
`,
		"a_test.go": "package a_test\nfunc ExampleWithA() {\n\t// Output:\n}\nfunc ExampleWithC() {}\n",
	} {
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	got := surfaceOf(t, fset, files)
	for _, tt := range []struct {
		what      string
		got, want []string
	}{
		{"names", got.names, []string{"WithContext", "Limit", "Option", "WithA", "WithB", "WithC", "State"}},
		{"values", got.values, []string{"Closed", "Open"}},
		{"undocumented", got.undocumented, []string{"package a", "WithB", "Open", "State.Bare"}},
		{"options without an Example", got.bare, []string{"WithB", "WithC"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.what, tt.got, tt.want)
		}
	}
}
