package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A source is a file as it stands.
type source struct {
	path string // absolute
	text []byte
}

// A mutant is a source with one piece of its text replaced.
type mutant struct {
	file     *source
	from, to int // offsets of the piece
	with     string
	line     int
}

func (m *mutant) changed() []byte {
	return slices.Concat(m.file.text[:m.from], []byte(m.with), m.file.text[m.to:])
}

func (m mutant) String() string {
	was := string(bytes.Join(bytes.Fields(m.file.text[m.from:m.to]), []byte(" ")))
	if len(was) > 60 {
		was = was[:60] + "..."
	}
	with := m.with
	if with == "" {
		with = "(left out)"
	}
	return fmt.Sprintf("%s:%d: %s -> %s", filepath.Base(m.file.path), m.line, was, with)
}

// mutantsOf returns all changes in the files of a package that are not tests,
// or in those of them that are named.
func mutantsOf(dir, only string) ([]mutant, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasSuffix(name, "_test.go") || only != "" && !slices.Contains(strings.Split(only, ","), name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := mutantsIn(&source{path: path, text: text})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// mutantsIn returns the changes in one file, in the order of its text.
func mutantsIn(src *source) ([]mutant, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, src.path, src.text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := finder{src: src, fset: fset}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Body != nil && d.Name.Name != "String" && d.Name.Name != "Error" {
				ast.Inspect(d.Body, f.visit)
			}
		case *ast.GenDecl:
			if d.Tok == token.CONST || d.Tok == token.VAR {
				ast.Inspect(d, f.visit)
			}
		}
	}
	slices.SortStableFunc(f.found, func(a, b mutant) int { return a.from - b.from })
	return f.found, nil
}

// finder collects the changes in a file.
type finder struct {
	src   *source
	fset  *token.FileSet
	found []mutant
}

func (f *finder) add(from, to token.Pos, with string) {
	at := f.fset.Position(from)
	f.found = append(f.found, mutant{file: f.src, from: at.Offset, to: f.fset.Position(to).Offset, with: with, line: at.Line})
}

// replacements of an operator.
func replacements(op token.Token) []token.Token {
	switch op {
	case token.LSS:
		return []token.Token{token.LEQ, token.GEQ}
	case token.LEQ:
		return []token.Token{token.LSS, token.GTR}
	case token.GTR:
		return []token.Token{token.GEQ, token.LEQ}
	case token.GEQ:
		return []token.Token{token.GTR, token.LSS}
	case token.EQL:
		return []token.Token{token.NEQ}
	case token.NEQ:
		return []token.Token{token.EQL}
	case token.LAND:
		return []token.Token{token.LOR}
	case token.LOR:
		return []token.Token{token.LAND}
	case token.ADD:
		return []token.Token{token.SUB}
	case token.SUB:
		return []token.Token{token.ADD}
	case token.MUL:
		return []token.Token{token.QUO}
	case token.QUO:
		return []token.Token{token.MUL}
	case token.INC:
		return []token.Token{token.DEC}
	case token.DEC:
		return []token.Token{token.INC}
	case token.ADD_ASSIGN:
		return []token.Token{token.SUB_ASSIGN}
	case token.SUB_ASSIGN:
		return []token.Token{token.ADD_ASSIGN}
	}
	return nil
}

func (f *finder) swap(at token.Pos, op token.Token) {
	for _, with := range replacements(op) {
		f.add(at, at+token.Pos(len(op.String())), with.String())
	}
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if fun, ok := n.Fun.(*ast.Ident); ok {
			switch fun.Name {
			case "panic": // says what cannot happen
				return false
			case "min":
				f.add(fun.Pos(), fun.End(), "max")
			case "max":
				f.add(fun.Pos(), fun.End(), "min")
			}
		}
		if isText(n) {
			return false
		}
	case *ast.BinaryExpr:
		f.swap(n.OpPos, n.Op)
	case *ast.IncDecStmt:
		f.swap(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.swap(n.TokPos, n.Tok)
	case *ast.BasicLit:
		f.number(n)
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.add(n.Cond.Pos(), n.Cond.End(), "false")
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			f.cases(n)
		}
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	}
	return true
}

// isText reports whether a call makes the text of an error, which no rule
// depends on.
func isText(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && (pkg.Name == "fmt" && (sel.Sel.Name == "Errorf" || sel.Sel.Name == "Sprintf") || pkg.Name == "errors" && sel.Sel.Name == "New")
}

// condition replaces a whole condition. The operands stay in use, so that it
// compiles.
func (f *finder) condition(cond ast.Expr) {
	text := string(f.src.text[f.fset.Position(cond.Pos()).Offset:f.fset.Position(cond.End()).Offset])
	f.add(cond.Pos(), cond.End(), "("+text+") || true")
	f.add(cond.Pos(), cond.End(), "("+text+") && false")
}

// cases takes the cases of a switch without a tag for the conditions they are.
func (f *finder) cases(s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		if clause, ok := c.(*ast.CaseClause); ok {
			for _, cond := range clause.List {
				f.condition(cond)
			}
		}
	}
}

// number makes an integer one higher.
func (f *finder) number(lit *ast.BasicLit) {
	if lit.Kind != token.INT {
		return
	}
	if n, err := strconv.ParseInt(strings.ReplaceAll(lit.Value, "_", ""), 0, 64); err == nil {
		f.add(lit.Pos(), lit.End(), strconv.FormatInt(n+1, 10))
	}
}

// statements leaves out calls, assignments to what is declared elsewhere, and
// deferred calls.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.DeferStmt, *ast.IncDecStmt:
			f.add(s.Pos(), s.End(), "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				f.add(s.Pos(), s.End(), blanked(f, s))
			}
		}
	}
}

// blanked keeps the right side of an assignment in use.
func blanked(f *finder, s *ast.AssignStmt) string {
	if s.Tok != token.ASSIGN || len(s.Rhs) != 1 || len(s.Lhs) != 1 {
		return ""
	}
	right := s.Rhs[0]
	return "_ = " + string(f.src.text[f.fset.Position(right.Pos()).Offset:f.fset.Position(right.End()).Offset])
}
