// Command mutate changes one thing at a time in the packages that it is given,
// runs their own tests on each changed copy, and reports the changes that no
// test noticed.
//
//	go run ./.ci/mutate ./headers ./breaker
//	go run ./.ci/mutate -files decide.go,backoff.go ./transport
//	go run ./.ci/mutate -sample 20 -min 0.9 ./headers
//
// A change is one of: a comparison at its boundary or turned round, && for ||,
// + for -, * for /, min for max, a condition always true or always false, a
// number one higher, a statement left out. Files are replaced by the -overlay
// flag of go test, so the tree is never written to. A change that does not
// compile is not counted. One that makes the tests hang counts as noticed.
//
// With -min the command fails if a smaller share of the changes is noticed.
// Some changes cannot be noticed since they change nothing, such as < for <=
// where both sides are never equal, so a share of 1 is no aim.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

type settings struct {
	files  string
	run    string
	skip   string
	sample int
	seed   uint64
	least  float64
	jobs   int
	all    bool
}

func main() {
	var s settings
	flag.StringVar(&s.files, "files", "", "change only these files, by base name, with commas between them")
	flag.StringVar(&s.run, "run", "", "run only the tests that match, as go test -run does")
	flag.StringVar(&s.skip, "skip", "", "run no tests that match, as go test -skip does")
	flag.IntVar(&s.sample, "sample", 0, "try so many changes in each package, chosen by -seed; 0 tries all")
	flag.Uint64Var(&s.seed, "seed", 1, "which changes -sample chooses")
	flag.Float64Var(&s.least, "min", 0, "fail if a smaller share of the changes is noticed, from 0 to 1")
	flag.IntVar(&s.jobs, "jobs", 2, "how many tests run at a time")
	flag.BoolVar(&s.all, "v", false, "print the changes that were noticed, too")
	flag.Parse()
	if flag.NArg() == 0 || s.jobs < 1 || s.least < 0 || s.least > 1 {
		flag.Usage()
		os.Exit(2)
	}
	failed := false
	for _, dir := range flag.Args() {
		score, err := mutatePackage(s, dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutate: %s: %v\n", dir, err)
			os.Exit(2)
		}
		failed = failed || score < s.least
	}
	if failed {
		fmt.Printf("mutate: less than %.0f %% noticed\n", 100*s.least)
		os.Exit(1)
	}
}

// mutatePackage tries the changes in one package and returns the share that its
// tests noticed.
func mutatePackage(s settings, dir string) (float64, error) {
	mutants, err := mutantsOf(dir, s.files)
	if err != nil {
		return 0, err
	}
	if len(mutants) == 0 {
		return 0, errors.New("no file with anything to change")
	}
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)

	t := tester{dir: dir, run: s.run, skip: s.skip, work: work, limit: 10 * time.Minute}
	start := time.Now()
	if verdict, out := t.test(0, nil); verdict != survived {
		return 0, fmt.Errorf("the tests fail without any change:\n%s", out)
	}
	t.limit = 5*time.Since(start) + 20*time.Second
	if s.sample > 0 && s.sample < len(mutants) {
		r := rand.New(rand.NewPCG(s.seed, 0))
		r.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
		mutants = mutants[:s.sample]
	}

	verdicts := make([]verdict, len(mutants))
	next := make(chan int)
	var workers sync.WaitGroup
	for range s.jobs {
		workers.Go(func() {
			for i := range next {
				verdicts[i], _ = t.test(i+1, &mutants[i])
				if verdicts[i] == survived || s.all {
					fmt.Printf("%-9s %s\n", verdicts[i], mutants[i])
				}
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	workers.Wait()
	return report(dir, verdicts), nil
}

func report(dir string, verdicts []verdict) float64 {
	count := map[verdict]int{}
	for _, v := range verdicts {
		count[v]++
	}
	tried := count[killed] + count[survived]
	score := float64(count[killed]) / float64(max(tried, 1))
	fmt.Printf("%s: %d of %d changes noticed (%.1f %%), %d did not compile\n",
		dir, count[killed], tried, 100*score, count[stillborn])
	return score
}

type verdict int8

const (
	survived  verdict = iota // the tests passed
	killed                   // a test failed, or the tests did not end
	stillborn                // it did not compile
)

func (v verdict) String() string { return [...]string{"SURVIVED", "noticed", "no build"}[v] }

// A tester runs the tests of one package.
type tester struct {
	dir   string
	run   string
	skip  string
	work  string // for the changed files
	limit time.Duration
}

// test runs the tests with one change, or with none.
func (t *tester) test(n int, m *mutant) (verdict, string) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off"}
	if t.run != "" {
		args = append(args, "-run", t.run)
	}
	if t.skip != "" {
		args = append(args, "-skip", t.skip)
	}
	if m != nil {
		overlay, err := m.overlay(filepath.Join(t.work, fmt.Sprint(n)))
		if err != nil {
			return stillborn, err.Error()
		}
		args = append(args, "-overlay", overlay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(args, "-timeout", t.limit.String(), ".")...)
	cmd.Dir = t.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, ""
	case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "[setup failed]"):
		return stillborn, string(out)
	}
	return killed, string(out)
}

// overlay writes the changed file and the JSON that puts it in place of the
// original.
func (m *mutant) overlay(prefix string) (string, error) {
	changed := prefix + ".go"
	if err := os.WriteFile(changed, m.changed(), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{m.file.path: changed}})
	if err != nil {
		return "", err
	}
	return prefix + ".json", os.WriteFile(prefix+".json", b, 0o600)
}
