package middleware_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
)

// ShedReasons has each of the constants but ShedNone, in their order.
func TestShedReasonsAreAllOfThem(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "shedreason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []middleware.ShedReason
	for _, decl := range file.Decls {
		constants, ok := decl.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			word, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if reason := middleware.ShedReason(word); reason != middleware.ShedNone {
				want = append(want, reason)
			}
		}
	}
	if got := middleware.ShedReasons(); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("ShedReasons: %q, want %q", got, want)
	}
}
