// Fleet shows processes that share one retry budget. It starts some, each a
// client with the whole chain, and a backend that fails for a while; each
// second it prints what the backend saw. Whatever the number of processes, the
// retries of all stay within one budget. Ctrl-C hands the credit back.
//
//	go run ./examples/fleet                        # 4 processes, an embedded Redis
//	go run ./examples/fleet -n 20 -redis localhost:6379
//	go run ./examples/fleet -own                   # a budget for each, to compare
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type settings struct {
	redis     string // "": embedded
	processes int
	rate      float64 // requests per second of each
	ratio     float64
	floor     float64
	own       bool
	failAfter time.Duration
	failFor   time.Duration
	length    time.Duration // 0: until interrupted
}

func main() {
	if os.Getenv(memberEnv) != "" {
		os.Exit(member())
	}
	var s settings
	flag.StringVar(&s.redis, "redis", "", "address of a Redis; without one it is embedded")
	flag.IntVar(&s.processes, "n", 4, "processes")
	flag.Float64Var(&s.rate, "rate", 100, "requests per second of each process")
	flag.Float64Var(&s.ratio, "ratio", 0.1, "retries that each request pays for")
	flag.Float64Var(&s.floor, "floor", 10, "retries per second of the fleet in any case")
	flag.BoolVar(&s.own, "own", false, "give each process a budget of its own, floor and all")
	flag.DurationVar(&s.failAfter, "fail-after", 5*time.Second, "when the backend starts to fail")
	flag.DurationVar(&s.failFor, "fail-for", 15*time.Second, "for how long it fails")
	flag.DurationVar(&s.length, "for", 0, "stop after that time; 0 waits for Ctrl-C")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts backend and processes and prints a line each second.
func run(ctx context.Context, s settings, out io.Writer) error {
	if s.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	addr, stopRedis, err := redisAt(s.redis)
	if err != nil {
		return err
	}
	defer stopRedis()
	b, err := newBackend()
	if err != nil {
		return err
	}
	defer b.close()
	s.redis = addr
	herd, err := start(s, b.url, out)
	if err != nil {
		return err
	}
	b.watch(ctx, s, out)
	return herd.stop()
}
