package examples_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/datapunk/evenkeel"

// allowed is what a package may import besides the standard library: packages
// of ours by their folder, and third-party modules.
type allowed struct {
	ours    []string
	modules []string
	pure    bool // imports none of impure
}

// impure is what a pure package does not import: its caller passes in random
// numbers and events.
var impure = []string{"context", "math/rand", "math/rand/v2", "net", "net/http", "os", "runtime", "runtime/metrics"}

// The lowest packages import service names only. transport, breaker and middleware
// import those and never each other: they meet at http.RoundTripper, http.Handler
// and context.Context. Leaves import the packages below them, never a leaf, and are
// the only ones with heavy dependencies.
var rules = map[string]allowed{
	"headers":         {},
	"headers/service": {},
	"budget":          {ours: []string{"headers/service", "budget/internal/account"}},

	"transport":  {ours: []string{"headers", "headers/service", "budget", "transport/internal/guard", "transport/internal/quantile"}, modules: []string{retryable, timeRate}},
	"breaker":    {ours: []string{"headers", "headers/service"}, modules: []string{gobreaker}},
	"middleware": {ours: []string{"headers", "middleware/internal/gcra", "middleware/internal/limiter"}, modules: []string{timeRate}},

	"budget/internal/account":     {pure: true},
	"budget/internal/fleet":       {ours: []string{"headers/service", "budget", "budget/internal/account"}},
	"transport/internal/guard":    {},
	"transport/internal/quantile": {},
	"middleware/internal/gcra":    {},
	"middleware/internal/limiter": {pure: true},

	"middleware/idempotency":                 {ours: []string{"headers"}},
	"middleware/idempotency/idempotencytest": {ours: []string{"middleware/idempotency"}},

	"transport/transporttest": {ours: []string{"headers"}},
	"budget/budgettest":       {ours: []string{"budget"}},
	"breaker/internal/health": {ours: []string{"headers/service", "transport", "breaker"}},
	"breaker/fleettest":       {ours: []string{"transport", "breaker", "breaker/internal/health"}},

	"budget/redisbudget":                    {ours: []string{"budget", "budget/internal/fleet", "budget/redisbudget/internal/layout"}, modules: []string{goRedis}},
	"budget/redisbudget/internal/layout":    {ours: []string{"headers/service", "budget/internal/fleet"}},
	"budget/redisbudget/cmd/evenkeel-fleet": {ours: []string{"budget/redisbudget", "budget/redisbudget/internal/layout", "breaker/redisbreaker"}, modules: []string{goRedis}},
	"breaker/redisbreaker":                  {ours: []string{"headers/service", "transport", "breaker", "breaker/internal/health"}, modules: []string{goRedis}},
	"middleware/redisrate":                  {ours: []string{"headers", "middleware", "middleware/internal/gcra"}, modules: []string{goRedis}},
	"middleware/idempotency/redisstore":     {ours: []string{"middleware/idempotency"}, modules: []string{goRedis}},
	"middleware/idempotency/sqlstore":       {ours: []string{"middleware/idempotency"}, modules: []string{databaseSQL}},
	"middleware/prommetrics":                {ours: floors, modules: []string{prometheus, prometheusModel}},
	"middleware/oteltrace":                  {ours: floors, modules: []string{otel, otelContrib}},
}

var floors = []string{"headers", "headers/service", "budget", "transport", "breaker", "middleware", "middleware/idempotency"}

// A module whose path ends in a slash stands for all below it.
const (
	retryable       = "github.com/hashicorp/go-retryablehttp"
	timeRate        = "golang.org/x/time"
	gobreaker       = "github.com/sony/gobreaker/v2"
	goRedis         = "github.com/redis/go-redis/v9"
	prometheus      = "github.com/prometheus/client_golang"
	prometheusModel = "github.com/prometheus/client_model"
	otel            = "go.opentelemetry.io/otel/"
	otelContrib     = "go.opentelemetry.io/contrib/"
	databaseSQL     = "database/sql" // of the standard library, and yet only where it is needed
)

// heavy is what a program links only by importing the leaf of that name.
var heavy = map[string][]string{
	"redis":      {"github.com/redis/"},
	"prometheus": {"github.com/prometheus/"},
	"otel":       {"go.opentelemetry.io/"},
	"sql":        {databaseSQL},
}

// A listed package is what go list says about one.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

func TestImports(t *testing.T) {
	packages := goList(t)
	var ours []string
	for name := range packages {
		if folder, ok := folderOf(name); ok {
			ours = append(ours, folder)
		}
	}
	slices.Sort(ours)
	if !slices.Contains(ours, "transport") {
		t.Fatalf("packages %v, want transport among them", ours)
	}
	for _, folder := range ours {
		if strings.HasPrefix(folder, "examples/") || folder == "examples" {
			continue // they may use everything
		}
		t.Run(folder, func(t *testing.T) {
			rule, ok := rules[folder]
			if !ok {
				t.Fatal("no rule says what this package may import")
			}
			for _, complaint := range check(folder, rule, packages) {
				t.Error(complaint)
			}
		})
	}
}

// check returns what is wrong with the imports of a package.
func check(folder string, rule allowed, packages map[string]listed) []string {
	var wrong []string
	p := packages[module+"/"+folder]
	for _, name := range p.Imports {
		if rule.pure && slices.Contains(impure, name) {
			wrong = append(wrong, "imports "+name)
			continue
		}
		if other, ok := folderOf(name); ok {
			if !slices.Contains(rule.ours, other) {
				wrong = append(wrong, "imports "+other)
			}
			continue
		}
		if dep := packages[name]; !dep.Standard && !slices.ContainsFunc(rule.modules, dep.in) {
			wrong = append(wrong, "imports "+name)
		}
	}
	for what, prefixes := range heavy {
		if slices.ContainsFunc(rule.modules, func(m string) bool { return hasPrefix(m, prefixes) }) {
			continue
		}
		for _, name := range p.Deps {
			if hasPrefix(name, prefixes) {
				wrong = append(wrong, "links "+what+": "+name)
			}
		}
	}
	return wrong
}

// in reports whether the package is of a module.
func (p listed) in(module string) bool {
	if p.Module == nil {
		return false
	}
	below, all := strings.CutSuffix(module, "/")
	return p.Module.Path == below || all && strings.HasPrefix(p.Module.Path, module)
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func folderOf(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// goList returns every package of the module and all that they need.
func goList(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	packages := make(map[string]listed)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages[p.ImportPath] = p
	}
}

// A test that cannot fail proves nothing.
func TestImportRulesCanFail(t *testing.T) {
	mod := func(path string) *struct{ Path string } { return &struct{ Path string }{path} }
	packages := map[string]listed{
		"time":                               {ImportPath: "time", Standard: true},
		"net/http":                           {ImportPath: "net/http", Standard: true},
		retryable:                            {ImportPath: retryable, Module: mod(retryable)},
		goRedis:                              {ImportPath: goRedis, Module: mod(goRedis)},
		otel + "trace":                       {ImportPath: otel + "trace", Module: mod(otel + "trace")},
		"github.com/hashicorp/go-hclog":      {ImportPath: "github.com/hashicorp/go-hclog", Module: mod("github.com/hashicorp/go-hclog")},
		module + "/transport":                {Imports: []string{"net/http", retryable, module + "/headers"}},
		module + "/breaker":                  {Imports: []string{module + "/transport"}},
		module + "/headers":                  {Imports: []string{module + "/budget"}},
		module + "/middleware":               {Imports: []string{module + "/headers"}, Deps: []string{goRedis}},
		module + "/budget":                   {Imports: []string{"github.com/hashicorp/go-hclog"}},
		module + "/budget/redisbudget":       {Imports: []string{goRedis, module + "/budget"}, Deps: []string{goRedis}},
		module + "/middleware/oteltrace":     {Imports: []string{otel + "trace"}, Deps: []string{otel + "trace", goRedis}},
		module + "/middleware/prommetrics":   {Imports: []string{module + "/middleware/oteltrace"}},
		module + "/breaker/redisbreaker":     {Imports: []string{module + "/budget/redisbudget"}},
		module + "/transport/transporttest":  {Imports: []string{"net/http"}},
		module + "/middleware/idempotency":   {Imports: []string{module + "/transport"}, Deps: []string{databaseSQL}},
		module + "/middleware/redisrate":     {Imports: []string{goRedis}, Deps: []string{goRedis}},
		module + "/budget/budgettest":        {Imports: []string{module + "/budget"}},
		module + "/middleware/idempotency/x": {Imports: nil},

		module + "/middleware/internal/limiter": {Imports: []string{"time", "net/http"}},
	}
	for folder, want := range map[string]string{
		"transport":               "",
		"budget/redisbudget":      "",
		"middleware/redisrate":    "",
		"transport/transporttest": "",
		"budget/budgettest":       "",
		"breaker":                 "imports transport",
		"headers":                 "imports budget",
		"middleware":              "links redis: " + goRedis,
		"budget":                  "imports github.com/hashicorp/go-hclog",
		"middleware/oteltrace":    "links redis: " + goRedis,
		"middleware/prommetrics":  "imports middleware/oteltrace",
		"breaker/redisbreaker":    "imports budget/redisbudget",
		"middleware/idempotency":  "imports transport; links sql: " + databaseSQL,

		"middleware/internal/limiter": "imports net/http",
	} {
		if got := strings.Join(check(folder, rules[folder], packages), "; "); got != want {
			t.Errorf("%s: got %q, want %q", folder, got, want)
		}
	}
}

// The top level of the repository holds the packages and what concerns all of
// them. There is no internal, util or pkg.
func TestTopLevel(t *testing.T) {
	patterns := []string{
		"transport", "breaker", "budget", "headers", "middleware", "examples",
		"go.mod", "go.sum", "LICENSE", "*.md", ".*",
	}
	for _, name := range topLevel(t) {
		if !slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// topLevel returns the entries under version control, or all entries of a copy
// without a repository.
func topLevel(t *testing.T) []string {
	t.Helper()
	var names []string
	if out, err := exec.Command("git", "-C", "..", "ls-tree", "--name-only", "HEAD").Output(); err == nil {
		names = strings.Fields(string(out))
	} else {
		entries, err := os.ReadDir("..")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if !slices.Contains(names, "go.mod") {
		t.Fatalf("no go.mod among %q", names)
	}
	return names
}
