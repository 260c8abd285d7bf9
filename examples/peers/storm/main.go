// Storm drives clients of many retry policies against real HTTP servers that
// stall, lose workers or meet a crowd, all in one run, and reports how soon each
// recovers, what it sends and how many of its calls succeed.
//
//	go run ./storm -out storm/results -seeds 5
//	go run ./storm -quick -out /tmp/storm
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
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

// patience is how often a run is made before it is given up as too late to count.
const patience = 3

func bench(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	out := flags.String("out", "", "directory for results.json, results.md and the plots; none by default")
	seeds := flags.Int("seeds", 1, "runs of each, of which the medians are reported")
	first := flags.Uint64("seed", 1, "the first seed")
	quick := flags.Bool("quick", false, "few policies and scenarios, shortened, in about two minutes")
	onlyScenario := flags.String("scenario", "", "comma-separated prefixes of the scenarios to run")
	onlyPolicy := flags.String("policy", "", "comma-separated policies to run")
	from := flags.String("from", "", "results.json of an earlier run, to make tables and plots of instead of running")
	side := flags.Int("side", 4*runtime.NumCPU(), "runs side by side, each about 200 requests per second")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *from != "" {
		rep, err := readReport(*from, scenarios(*quick))
		if err != nil {
			return err
		}
		return rep.publish(*out)
	}
	var trials []trial
	for seed := range uint64(*seeds) {
		for _, s := range scenarios(*quick) {
			if !chosen(*onlyScenario, s.id, strings.HasPrefix) {
				continue
			}
			for _, p := range policies() {
				if s.takes(p, *quick) && chosen(*onlyPolicy, p.id, func(a, b string) bool { return a == b }) {
					trials = append(trials, trial{s, p, *first + seed})
				}
			}
		}
	}
	if len(trials) == 0 {
		return fmt.Errorf("storm: -scenario %q and -policy %q choose nothing", *onlyScenario, *onlyPolicy)
	}
	rounds := patience
	if *quick {
		rounds = 1
	}
	runs, err := runAll(ctx, trials, *side, rounds)
	if err != nil {
		return err
	}
	return newReport(args, *side, scenarios(*quick), runs).publish(*out)
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

// runAll makes the runs, some of them side by side. Those that were too late to
// count are made again with fewer at a time.
func runAll(ctx context.Context, trials []trial, side, rounds int) ([]result, error) {
	results := make([]result, len(trials))
	again := make([]int, len(trials))
	for i := range again {
		again[i] = i
	}
	progress := &progress{began: time.Now()}
	for range rounds {
		progress.left += len(again)
		if err := runSome(ctx, trials, again, results, side, progress); err != nil {
			return nil, err
		}
		again = slices.DeleteFunc(again, func(i int) bool { return results[i].Refused == "" })
		side = (side + 1) / 2
	}
	return results, nil
}

func runSome(ctx context.Context, trials []trial, which []int, results []result, side int, progress *progress) error {
	errs := make(chan error, len(which))
	free := make(chan struct{}, max(side, 1))
	var all sync.WaitGroup
	for _, i := range which {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-free }()
			r, err := run(ctx, new(loopback), trials[i].scenario, trials[i].policy, trials[i].seed)
			if err != nil {
				errs <- err
				return
			}
			results[i] = r
			progress.show(r)
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

// progress says on stderr how far the benchmark is.
type progress struct {
	began time.Time

	mu         sync.Mutex // guards what follows
	done, left int
}

func (p *progress) show(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.left--
	fmt.Fprintf(os.Stderr, "%4d/%d %6s  %-20s %-22s seed %d  %s  late %.1f/%.1f/%.1f ms %s\n", p.done, p.done+p.left,
		time.Since(p.began).Round(time.Second), r.Scenario, r.Policy, r.Seed, r.cell(), r.Late, r.LateMax, r.LateServer, r.Refused)
}
