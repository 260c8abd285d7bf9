package idempotency_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// The type of each problem leads to a heading of the page, and the page has no others.
func TestPageExplainsEveryProblem(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^### (\S+)\n(\d+)\. `).FindAllStringSubmatch(string(text), -1) {
		headings = append(headings, m[1]+" "+m[2])
	}
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	event, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string]string)
	for _, m := range regexp.MustCompile(`(Outcome\w+)\s+Outcome = "(\w+)"`).FindAllStringSubmatch(string(event), -1) {
		words[m[1]] = m[2]
	}
	codes := map[string]string{
		"BadRequest": "400", "Unauthorized": "401", "Conflict": "409", "RequestEntityTooLarge": "413", "UnprocessableEntity": "422",
		"InternalServerError": "500", "ServiceUnavailable": "503",
	}
	for _, m := range regexp.MustCompile(`(Outcome\w+):\s+\{http\.Status(\w+)`).FindAllStringSubmatch(string(source), -1) {
		problems = append(problems, strings.ReplaceAll(words[m[1]], "_", "-")+" "+codes[m[2]])
	}
	slices.Sort(headings)
	slices.Sort(problems)
	if !slices.Equal(headings, problems) || len(problems) < 10 {
		t.Errorf("the page explains %q, and the problems are %q", headings, problems)
	}
}

// Without a DocsURL, the type of a problem is the page.
func TestProblemsLeadToThePage(t *testing.T) {
	k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP, idempotency.Required(everything))
	resp := k.do(request("", "{}"))
	if got := bodyOf(t, resp); !strings.Contains(got, `"https://github.com/datapunk/evenkeel/tree/main/middleware/idempotency#key-missing"`) {
		t.Errorf("got %s", got)
	}
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Link") != "" {
		t.Errorf("got %d with the Link %q", resp.StatusCode, resp.Header.Get("Link"))
	}
}

// The list of outcomes has every one that is declared.
func TestOutcomes(t *testing.T) {
	event, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []idempotency.Outcome
	for _, m := range regexp.MustCompile(`Outcome = "(\w+)"`).FindAllStringSubmatch(string(event), -1) {
		declared = append(declared, idempotency.Outcome(m[1]))
	}
	if got := idempotency.Outcomes(); !slices.Equal(got, declared) {
		t.Errorf("got %q, want %q", got, declared)
	}
}
