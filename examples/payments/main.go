// Payments kills an account service again and again while its customers pay. It runs
// the service twice, without package idempotency and with it, and counts each second
// what was paid, what was charged, and what was charged twice.
//
//	cd examples/payments
//	go run .                                         # SQLite, embedded, for 20 s
//	go run . -postgres postgres://localhost/scratch  # in tables of that database
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type settings struct {
	postgres  string // URL; "": SQLite
	customers int
	kills     time.Duration // between two, on average
	length    time.Duration
}

func main() {
	if os.Getenv(serviceEnv) != "" {
		fmt.Fprintln(os.Stderr, "payments:", serve())
		os.Exit(1)
	}
	var s settings
	flag.StringVar(&s.postgres, "postgres", "", "URL of a Postgres; the default is an embedded SQLite")
	flag.IntVar(&s.customers, "customers", 20, "number of customers of each service")
	flag.DurationVar(&s.kills, "kills", 400*time.Millisecond, "time from one kill to the next, on average")
	flag.DurationVar(&s.length, "for", 20*time.Second, "how long customers pay")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "payments: unexpected argument %q: want flags only\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "payments:", err)
		os.Exit(1)
	}
}

// validate returns an error for each flag that is out of range.
func (s settings) validate() error {
	var errs []error
	if s.customers < 1 || s.customers > 1000 {
		errs = append(errs, fmt.Errorf("-customers %d: want 1 to 1000", s.customers))
	}
	if s.kills < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("-kills %v: want 100ms or more", s.kills))
	}
	if s.length <= 0 {
		errs = append(errs, fmt.Errorf("-for %v: want a positive time", s.length))
	}
	return errors.Join(errs...)
}

// run has customers pay in both worlds, and returns what came of it in each.
func run(ctx context.Context, s settings, out io.Writer) ([]count, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "evenkeel-payments")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var worlds []*world
	for _, keys := range []bool{false, true} {
		w, err := newWorld(s, dir, keys)
		if err != nil {
			return nil, err
		}
		defer w.close()
		worlds = append(worlds, w)
	}
	paying, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	for _, w := range worlds {
		w.start(paying)
	}
	if err := watch(paying, worlds, out); err != nil {
		return nil, err
	}
	var counts []count
	for _, w := range worlds {
		w.finish()
		c, err := w.count(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		counts = append(counts, c)
	}
	conclude(out, counts)
	return counts, nil
}
