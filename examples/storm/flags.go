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
)

// config is what a storm is like.
type config struct {
	duration time.Duration // in which calls arrive
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
}

func (c config) meanService() time.Duration {
	return time.Duration(workers / c.capacity * float64(time.Second))
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

// parse reads the command line. Errors, and the usage if it is asked for, go
// to stderr.
func parse(args []string, stderr io.Writer) (config, error) {
	var cfg config
	var names string
	f := flag.NewFlagSet("storm", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "Storm stalls a backend and shows which clients let it come back.")
		fmt.Fprintln(stderr, "Every policy has a backend of its own; all of them run side by side.\n\nUsage of storm:")
		f.PrintDefaults()
		fmt.Fprintln(stderr, "\nPolicies:")
		for _, p := range allPolicies() {
			fmt.Fprintf(stderr, "  %-14s %s\n", p.name, p.what)
		}
	}
	f.DurationVar(&cfg.duration, "duration", 25*time.Second, "time in which calls arrive")
	f.DurationVar(&cfg.calm, "calm", 4*time.Second, "time before the stall")
	f.DurationVar(&cfg.stall, "stall", 5*time.Second, "time in which the backend serves nothing")
	f.IntVar(&cfg.clients, "clients", 10, "number of clients, each with connections and a chain of its own")
	f.Float64Var(&cfg.rate, "rate", 0, "calls per second of all clients together; 0 means 70 % of -capacity")
	f.Float64Var(&cfg.capacity, "capacity", 250, "requests per second that a backend can serve")
	f.DurationVar(&cfg.timeout, "timeout", time.Second, "how long a client waits for the answer to an attempt")
	f.DurationVar(&cfg.deadline, "deadline", 5*time.Second, "how long a call may take with all its attempts")
	f.Uint64Var(&cfg.seed, "seed", 1, "of arrivals and service times")
	f.StringVar(&names, "policies", defaultPolicies, "which policies to run, in this order")
	f.BoolVar(&cfg.json, "json", false, "write one JSON document instead of tables")
	if err := f.Parse(args); err != nil {
		return cfg, err // the flag set has said so
	}
	err := cfg.settle(names)
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

// settle fills in what follows from other flags and names every flag that is
// out of range.
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
		wrong("stall", c.stall, fmt.Sprintf("-calm and -stall together within -duration %v", c.duration))
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
			wrong("policies", fmt.Sprintf("%q", name), "names out of "+policyNames(all))
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
