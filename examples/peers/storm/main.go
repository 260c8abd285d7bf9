// Storm drives clients of many retry policies against real HTTP servers that
// stall, lose workers or meet a crowd, all in one run, and reports how soon each
// recovers, what it sends and how many of its calls succeed.
//
//	go run ./storm -out storm/results -seeds 5
//	go run ./storm -quick -out /tmp/storm
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tries is how often a run is made before it is given up as too late to count.
const tries = 3

func bench(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	out := flags.String("out", "", "directory for results.json, results.md and the plots; none by default")
	seeds := flags.Int("seeds", 1, "runs of each, of which the medians are reported")
	first := flags.Uint64("seed", 1, "the first seed")
	quick := flags.Bool("quick", false, "few policies and scenarios, shortened, in about two minutes")
	onlyScenario := flags.String("scenario", "", "comma-separated prefixes of the scenarios to run")
	onlyPolicy := flags.String("policy", "", "comma-separated policies to run")
	side := flags.Int("side", 6*runtime.NumCPU(), "runs side by side, each about 200 requests per second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var jobs []trial
	for seed := range uint64(*seeds) {
		for _, s := range scenarios(*quick) {
			if !chosen(*onlyScenario, s.id, strings.HasPrefix) {
				continue
			}
			for _, p := range policies() {
				if s.takes(p, *quick) && chosen(*onlyPolicy, p.id, func(a, b string) bool { return a == b }) {
					jobs = append(jobs, trial{s, p, *first + seed})
				}
			}
		}
	}
	if len(jobs) == 0 {
		return fmt.Errorf("storm: -scenario %q and -policy %q choose nothing", *onlyScenario, *onlyPolicy)
	}
	runs, err := runAll(ctx, jobs, *side)
	if err != nil {
		return err
	}
	rep := newReport(args, *side, runs)
	if *out == "" {
		return rep.markdown(os.Stdout)
	}
	return rep.write(filepath.Clean(*out))
}

// takes reports whether the policy goes through the scenario.
func (s *scenario) takes(p policy, quick bool) bool {
	switch {
	case quick && !p.quick:
		return false
	case s.policies != nil:
		return slices.Contains(s.policies, p.id)
	case s.holdOut:
		return slices.Contains([]string{"none", "retryablehttp-jitter", "failsafe-breaker", "failsafe-limiter", "failsafe-all", "finagle", "evenkeel"}, p.id)
	}
	return !strings.Contains(p.id, "hedge")
}

func chosen(list, id string, match func(id, want string) bool) bool {
	if list == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(want string) bool { return match(id, want) })
}

type trial struct {
	scenario scenario
	policy   policy
	seed     uint64
}

// runAll makes the runs, some of them side by side.
func runAll(ctx context.Context, jobs []trial, side int) ([]result, error) {
	results := make([]result, len(jobs))
	errs := make(chan error, len(jobs))
	free := make(chan struct{}, max(side, 1))
	began := time.Now()
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i, j := range jobs {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-free }()
			for range tries {
				r, err := run(ctx, new(loopback), j.scenario, j.policy, j.seed)
				if err != nil {
					errs <- err
					return
				}
				r.judge(j.scenario)
				results[i] = r
				if r.Refused == "" {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			r := results[i]
			fmt.Fprintf(os.Stderr, "%4d/%d %6s  %-20s %-22s seed %d  %s  late %.1f/%.1f/%.1f ms %s\n", done, len(jobs),
				time.Since(began).Round(time.Second), r.Scenario, r.Policy, r.Seed, r.cell(), r.Late, r.LateMax, r.LateServer, r.Refused)
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return results, ctx.Err()
	}
}
