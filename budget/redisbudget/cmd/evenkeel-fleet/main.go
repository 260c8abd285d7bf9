// Evenkeel-fleet shows and turns what the processes of a fleet share in Redis: the retry
// budgets of package redisbudget, and the health of services of package redisbreaker.
//
//	evenkeel-fleet status                    budgets, with what is spent, and services
//	evenkeel-fleet watch                     the same again each second, until interrupted
//	evenkeel-fleet pause payments            no retries of payments in the whole fleet
//	evenkeel-fleet resume payments
//	evenkeel-fleet isolate payments 10m      no calls to payments in the whole fleet
//	evenkeel-fleet release payments
//
// It needs to know nothing but the Redis: prefixes and shards are in the keys. A name
// that no process uses is an error. See evenkeel-fleet -help for the flags. The exit
// code is 0, 1 after an error, or 2 after a mistake in the arguments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// An operator is one run of the command.
type operator struct {
	client redis.UniversalClient
	prefix string
	json   bool
	every  time.Duration
	out    io.Writer
}

// errUsage is a mistake in the arguments.
var errUsage = errors.New("usage")

const usage = `usage: evenkeel-fleet [flags] status | watch | pause NAME | resume NAME | isolate SERVICE DURATION | release SERVICE

NAME is that of a service, or kind~name such as tenant~acme. DURATION is such as 90s or 10m, 24h at most.

`

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("evenkeel-fleet", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprint(errOut, usage)
		flags.PrintDefaults()
	}
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://localhost:6379"
	}
	flags.StringVar(&url, "redis", url, "URL of the Redis, by default $REDIS_URL: redis://user:password@host:port/db, or rediss:// for TLS")
	cluster := flags.Bool("cluster", false, "the URL is that of a Redis Cluster; ?addr=host:port adds nodes")
	sentinel := flags.Bool("sentinel", false, "the URL is that of a Sentinel; ?master_name=NAME says of which master")
	timeout := flags.Duration("timeout", 5*time.Second, "how long Redis may take for each step")
	o := operator{out: out}
	flags.StringVar(&o.prefix, "prefix", "", "only budgets with this prefix; by default those with any")
	flags.BoolVar(&o.json, "json", false, "print JSON, one object in each line")
	flags.DurationVar(&o.every, "every", time.Second, "time between the tables of watch")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	client, err := connect(url, *cluster, *sentinel)
	if err == nil {
		defer client.Close()
		o.client = client
		err = o.do(ctx, *timeout, flags.Args())
	}
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(errOut, "evenkeel-fleet: %v\n\n", err)
		flags.Usage()
		return 2
	case err != nil:
		fmt.Fprintf(errOut, "evenkeel-fleet: %v\n", err)
		return 1
	}
	return 0
}

func connect(url string, cluster, sentinel bool) (redis.UniversalClient, error) {
	var client redis.UniversalClient
	var err error
	switch {
	case cluster && sentinel:
		return nil, fmt.Errorf("%w: -cluster and -sentinel: want one of them", errUsage)
	case cluster:
		var o *redis.ClusterOptions
		if o, err = redis.ParseClusterURL(url); err == nil {
			o.ContextTimeoutEnabled = true
			client = redis.NewClusterClient(o)
		}
	case sentinel:
		var o *redis.FailoverOptions
		if o, err = redis.ParseFailoverURL(url); err == nil {
			o.ContextTimeoutEnabled = true
			client = redis.NewFailoverClient(o)
		}
	default:
		var o *redis.Options
		if o, err = redis.ParseURL(url); err == nil {
			o.ContextTimeoutEnabled = true
			client = redis.NewClient(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: -redis: %w", errUsage, err)
	}
	return client, nil
}

// do runs a command.
func (o *operator) do(ctx context.Context, timeout time.Duration, args []string) error {
	if timeout <= 0 || o.every <= 0 {
		return fmt.Errorf("%w: -timeout %v, -every %v: want positive durations", errUsage, timeout, o.every)
	}
	command, name := "", ""
	var long time.Duration
	switch len(args) {
	case 3:
		var err error
		if long, err = time.ParseDuration(args[2]); err != nil || long <= 0 || args[0] != "isolate" {
			return fmt.Errorf("%w: %q: want isolate SERVICE DURATION", errUsage, args)
		}
		fallthrough
	case 2:
		name = args[1]
		fallthrough
	case 1:
		command = args[0]
	}
	step := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return f(ctx)
	}
	switch {
	case command == "status" && name == "":
		return step(o.status)
	case command == "watch" && name == "":
		return o.watch(ctx, step)
	case command == "pause" && name != "":
		return step(func(ctx context.Context) error { return o.turn(ctx, name, true) })
	case command == "resume" && name != "":
		return step(func(ctx context.Context) error { return o.turn(ctx, name, false) })
	case command == "isolate" && name != "" && long > 0:
		return step(func(ctx context.Context) error { return o.isolate(ctx, name, long) })
	case command == "release" && name != "":
		return step(func(ctx context.Context) error { return o.isolate(ctx, name, 0) })
	}
	return fmt.Errorf("%w: want a command", errUsage)
}
