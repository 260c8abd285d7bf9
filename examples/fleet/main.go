// Fleet shows processes that share one retry budget. It starts a backend that
// fails for a while and some processes, each of which is a client with the whole
// chain. Each second it prints what the backend received. The retries of all
// processes together stay within one budget, however many processes there are.
// On Ctrl-C each process hands back the tokens that it holds.
//
//	go run ./examples/fleet                        # 4 processes, an embedded Redis
//	go run ./examples/fleet -n 20 -redis localhost:6379
//	go run ./examples/fleet -own                   # a budget for each process, to compare
//	go run ./examples/fleet -health                # how processes that call seldom recover from a stall
//
// With -health the backend has a queue and stalls for 8 seconds, once with processes that
// judge alone and once with processes that share what they see.
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

	"github.com/datapunk/evenkeel/budget"
)

type settings struct {
	redis     string // address; "": embedded
	processes int
	rate      float64 // requests per second of each
	ratio     float64
	floor     float64
	own       bool // with health: judge alone
	health    bool
	failAfter time.Duration
	failFor   time.Duration
	length    time.Duration // 0: until interrupted
}

func main() {
	if os.Getenv(memberEnv) != "" {
		os.Exit(member())
	}
	var s settings
	flag.StringVar(&s.redis, "redis", "", "address of a Redis; the default is an embedded one")
	flag.IntVar(&s.processes, "n", 4, "number of processes")
	flag.Float64Var(&s.rate, "rate", 100, "requests per second of each process")
	flag.Float64Var(&s.ratio, "ratio", 0.1, "retries that the budget allows per request")
	flag.Float64Var(&s.floor, "floor", 10, "retries per second that the budget always allows, to the whole fleet")
	flag.BoolVar(&s.own, "own", false, "give each process its own budget, with its own floor")
	flag.DurationVar(&s.failAfter, "fail-after", 5*time.Second, "when the backend starts to fail")
	flag.DurationVar(&s.failFor, "fail-for", 15*time.Second, "for how long it fails")
	flag.DurationVar(&s.length, "for", 0, "how long to run; 0 runs until Ctrl-C")
	flag.BoolVar(&s.health, "health", false, "show how processes recover from a stall, alone and as a fleet; -n is 40, -rate 0.5, -fail-for 8s and -for 36s unless given")
	flag.Parse()
	if s.health {
		given := map[string]bool{}
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		s.seldom(func(name string) bool { return given[name] })
	}
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "fleet: unexpected argument %q: want flags only\n", flag.Arg(0))
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// seldom sets what is not given to what -health needs: many processes with few calls.
func (s *settings) seldom(given func(flag string) bool) {
	if !given("n") {
		s.processes = 40
	}
	if !given("rate") {
		s.rate = 0.5
	}
	if !given("fail-for") {
		s.failFor = 8 * time.Second
	}
	if !given("for") {
		s.length = s.failAfter + s.failFor + 23*time.Second
	}
}

func (s settings) policy() budget.Policy {
	return budget.Policy{Ratio: s.ratio, MinPerSecond: s.floor}
}

// validate returns an error for each flag that is out of range.
func (s settings) validate() error {
	var errs []error
	if s.processes < 1 || s.processes > 1000 {
		errs = append(errs, fmt.Errorf("-n %d: want 1 to 1000", s.processes))
	}
	if !(s.rate > 0 && s.rate <= 10_000) {
		errs = append(errs, fmt.Errorf("-rate %g: want above 0, to 10000 per second", s.rate))
	}
	if _, err := budget.NewLocal(s.policy()); err != nil {
		errs = append(errs, fmt.Errorf("-ratio %g, -floor %g: %w", s.ratio, s.floor, err))
	}
	if s.health && s.length <= s.failAfter+s.failFor {
		errs = append(errs, fmt.Errorf("-for %v: want more than -fail-after and -fail-for with -health", s.length))
	}
	if s.failAfter < 0 || s.failFor < 0 || s.length < 0 {
		errs = append(errs, errors.New("-fail-after, -fail-for, -for: want no negative time"))
	}
	return errors.Join(errs...)
}

// run starts backend and processes and prints a line each second.
func run(ctx context.Context, s settings, out io.Writer) error {
	if err := s.validate(); err != nil {
		return err
	}
	if s.length > 0 && !s.health {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	addr, stopRedis, err := redisAt(s.redis)
	if err != nil {
		return err
	}
	defer stopRedis()
	if s.health {
		s.redis = addr
		return health(ctx, s, out)
	}
	b, err := newBackend()
	if err != nil {
		return err
	}
	defer b.close()
	s.redis = addr
	started, err := start(s, b.url, out)
	if err != nil {
		return err
	}
	b.watch(ctx, s, out)
	return started.stop()
}
