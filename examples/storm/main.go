// Storm stalls a backend for five seconds and shows, second by second, how
// quickly the clients of each retry policy recover.
//
//	go run ./examples/storm
//
// It runs several retry policies side by side over real HTTP on the loopback.
// Each policy has its own backend with the same fixed capacity, the same
// arrivals, and clients that share nothing. Clients and backends are goroutines
// of this one process. The load is small enough for that, and the output says
// so if the machine could not keep up. No figure is fixed: all of them are
// measured in the run.
//
// To change things while it runs:
//
//	go run ./examples/storm -http :8080
//
// This serves a page on the loopback interface until Ctrl-C. It plots goodput,
// amplification, the balance of the retry budget, the limits of the guard and
// of the server, and the state of the circuit breakers. Its buttons stall, slow
// or break the backend, deploy a slower one, and change the policy of the
// clients, or of half of them, while they go on calling. Programs can use them
// too:
//
//	curl -X POST localhost:8080/fault/stall
//	curl -X POST localhost:8080/policy/retryablehttp
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Ctrl-C ends the storm; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 on success, 1 if the storm could not be run, 2
// if the command line is wrong, 130 if it was interrupted. A page always ends by
// an interrupt, so its exit code is 0.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if cfg.http != "" {
		return servePage(ctx, cfg, stdout, stderr)
	}
	s, err := newStorm(cfg)
	if err != nil {
		fmt.Fprintln(stderr, "storm:", err)
		return 1
	}
	defer s.close()

	progress := stdout
	if cfg.json {
		progress = stderr // stdout gets the document and nothing else
	}
	done := s.watch(progress, cfg.json && !isTerminal(stderr))
	s.run(ctx)
	done()
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "storm: interrupted")
		return 130
	}
	r := s.report()
	if cfg.json {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		err = out.Encode(r)
	} else {
		err = writeTables(stdout, r)
	}
	if err != nil {
		fmt.Fprintln(stderr, "storm:", err)
		return 1
	}
	return 0
}
