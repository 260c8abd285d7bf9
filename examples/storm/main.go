// Storm stalls a backend for some seconds and shows, second by second, which
// clients let it come back.
//
//	go run ./examples/storm
//
// It runs several retry policies side by side over real HTTP on the loopback.
// Each has a backend of its own with the same fixed capacity, the same
// arrivals, and clients that know nothing of each other. Clients and backends
// are goroutines of this one process; the load is small enough for that, and
// the output says so if the machine could not keep up. The figures are those
// of the run, whatever they are.
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

// run returns the exit code: 0, 1 if the storm could not be run, 2 if the
// command line is wrong, 130 if it was interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	s, err := newStorm(cfg)
	if err != nil {
		fmt.Fprintln(stderr, "storm:", err)
		return 1
	}
	defer s.close()

	progress := stdout
	if cfg.json {
		progress = stderr // stdout has the document alone
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
