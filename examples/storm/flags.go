package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// config describes a storm.
type config struct {
	duration time.Duration // how long calls arrive
	calm     time.Duration // before the stall
	stall    time.Duration
	clients  int
	rate     float64       // calls per second, of all clients together
	capacity float64       // requests per second that a backend can serve
	timeout  time.Duration // of an attempt
	deadline time.Duration // of a call
	seed     uint64
	policies []policy
	json     bool
	attempts int                               // most attempts of a call, where evenkeel decides
	http     string                            // address of the page; empty: tables
	loads    func(load func() middleware.Load) // is given the load of the server; may be nil
}

func (c config) meanService() time.Duration {
	return time.Duration(workerCount / c.capacity * float64(time.Second))
}

// stalled reports whether any part of the given second is in the stall.
func (c config) stalled(second int) bool {
	from := time.Duration(second) * time.Second
	return c.stall > 0 && from < c.calm+c.stall && from+time.Second > c.calm
}

// afterStall is the first second that has no part in the stall.
func (c config) afterStall() int { return wholeSeconds(c.calm + c.stall) }

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// parse reads the command line. It writes errors, and the usage if asked, to
// stderr.
func parse(args []string, stderr io.Writer) (config, error) {
	cfg := config{attempts: 5}
	var names string
	f := flag.NewFlagSet("storm", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "Storm stalls a backend and shows how quickly the clients of each retry policy recover.")
		fmt.Fprintln(stderr, "Every policy has its own backend. All of them run side by side.\n\nUsage of storm:")
		f.PrintDefaults()
		fmt.Fprintln(stderr, "\nPolicies:")
		for _, p := range allPolicies() {
			fmt.Fprintf(stderr, "  %-14s %s\n", p.name, p.what)
		}
	}
	f.DurationVar(&cfg.duration, "duration", 25*time.Second, "how long calls arrive")
	f.DurationVar(&cfg.calm, "calm", 4*time.Second, "how long before the stall")
	f.DurationVar(&cfg.stall, "stall", 5*time.Second, "how long the backend serves nothing")
	f.IntVar(&cfg.clients, "clients", 10, "number of clients, each with its own connections and its own chain")
	f.Float64Var(&cfg.rate, "rate", 0, "calls per second of all clients together; 0 means 70 % of -capacity")
	f.Float64Var(&cfg.capacity, "capacity", 250, "requests per second that a backend can serve")
	f.DurationVar(&cfg.timeout, "timeout", time.Second, "timeout of an attempt")
	f.DurationVar(&cfg.deadline, "deadline", 5*time.Second, "deadline of a call, with all its attempts")
	f.Uint64Var(&cfg.seed, "seed", 1, "seed of the arrivals and service times")
	f.StringVar(&names, "policies", defaultPolicies, "policies to run, in this order")
	f.BoolVar(&cfg.json, "json", false, "write one JSON document instead of tables")
	f.StringVar(&cfg.http, "http", "", "serve a live page at this `address` until interrupted, instead of tables. An address without a\n"+
		"host, such as :8080, serves this machine only. -stall is how long a fault of the page lasts")
	if err := f.Parse(args); err != nil {
		return cfg, err // the flag set has printed it
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	if given["http"] {
		err = cfg.settlePage(given)
		if !given["policies"] {
			names = policyNames(pagePolicies())
		}
	}
	err = errors.Join(err, cfg.settle(names))
	if f.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("unexpected argument %q: storm takes flags only", f.Arg(0)))
	}
	if err != nil {
		for line := range strings.Lines(err.Error() + "\n") {
			fmt.Fprint(stderr, "storm: ", line)
		}
	}
	return cfg, err
}

// settle derives values from other flags and returns an error for every flag
// that is out of range.
func (c *config) settle(names string) error {
	var errs []error
	wrong := func(flag string, value any, want string) {
		errs = append(errs, fmt.Errorf("-%s %v: want %s", flag, value, want))
	}
	if c.rate == 0 {
		c.rate = 0.7 * c.capacity
	}
	if c.duration < time.Second || c.duration > time.Hour {
		wrong("duration", c.duration, "1s to 1h")
	}
	switch {
	case c.calm < 0:
		wrong("calm", c.calm, "0 or more")
	case c.stall < 0:
		wrong("stall", c.stall, "0 or more")
	case c.calm+c.stall > c.duration:
		wrong("stall", c.stall, fmt.Sprintf("-calm plus -stall of at most -duration %v", c.duration))
	}
	if c.clients < 1 || c.clients > 1000 {
		wrong("clients", c.clients, "1 to 1000")
	}
	// Written so that a NaN is out of range too.
	if !(c.capacity >= 1 && c.capacity <= 5000) {
		wrong("capacity", c.capacity, "1 to 5000 per second")
	} else if !(c.rate >= 1 && c.rate <= 5000) || math.IsInf(c.rate, 0) {
		wrong("rate", c.rate, "1 to 5000 per second")
	}
	if c.timeout < 10*time.Millisecond || c.timeout > time.Minute {
		wrong("timeout", c.timeout, "10ms to 1m")
	}
	if c.deadline < c.timeout || c.deadline > 5*time.Minute {
		wrong("deadline", c.deadline, "from -timeout to 5m")
	}
	all := allPolicies()
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		named := func(p policy) bool { return p.name == name }
		switch i := slices.IndexFunc(all, named); {
		case i < 0:
			wrong("policies", fmt.Sprintf("%q", name), "one of "+policyNames(all))
		case slices.ContainsFunc(c.policies, named):
			wrong("policies", fmt.Sprintf("%q", name), "each name once")
		default:
			c.policies = append(c.policies, all[i])
		}
	}
	return errors.Join(errs...)
}

func policyNames(all []policy) string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}
