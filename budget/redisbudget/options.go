package redisbudget

import (
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/budget/redisbudget/internal/layout"
	"github.com/redis/go-redis/v9"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	prefix    string
	shards    int // 0: by the kind of client
	min, max  time.Duration
	rate      float64
	observers observers
	given     struct{ shards bool }
}

const (
	defaultPrefix = "evenkeel:budget"
	// clusterShards spreads a fleet's budgets over the masters of a cluster.
	clusterShards  = 4
	maxShards      = 1024
	maxPrefix      = 64
	shortest       = 10 * time.Millisecond
	longest        = time.Minute
	defaultMin     = 200 * time.Millisecond
	defaultMax     = 5 * time.Second
	defaultRate    = 10_000
	lowest         = 1
	highest        = 10_000_000
	notPlainPrefix = "letters, digits and ._-:/@, at most 64 of them"
)

func defaults() config {
	return config{prefix: defaultPrefix, min: defaultMin, max: defaultMax, rate: defaultRate}
}

func (c *config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redisbudget: "+format, args...)) }
	ok := c.prefix != "" && len(c.prefix) <= maxPrefix
	for i := range len(c.prefix) {
		ok = ok && layout.Plain(c.prefix[i])
	}
	if !ok {
		bad("WithPrefix(%q): want %s", c.prefix, notPlainPrefix)
	}
	if c.given.shards && (c.shards < 1 || c.shards > maxShards) {
		bad("WithShards(%d): want 1 to %d", c.shards, maxShards)
	}
	if c.min < shortest || c.max > longest || c.min > c.max {
		bad("WithInterval(%v, %v): want %v <= min <= max <= %v", c.min, c.max, shortest, longest)
	}
	// The comparison is false for NaN.
	if !(c.rate >= lowest && c.rate <= highest) {
		bad("WithMaxSyncRate(%v): want %d to %d", c.rate, lowest, highest)
	}
	return errors.Join(errs...)
}

// shardsFor is the number of shards that suits a client.
func (c *config) shardsFor(client redis.UniversalClient) int {
	if c.given.shards {
		return c.shards
	}
	switch client.(type) {
	case *redis.ClusterClient, *redis.Ring:
		return clusterShards
	}
	return 1
}

// WithPrefix sets the start of all keys, so that fleets can share a Redis. All
// processes of a fleet need the same prefix: 1 to 64 letters, digits and ._-:/@. The
// default is "evenkeel:budget". Any other prefix is an error of [New].
func WithPrefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// WithShards sets over how many slots of a Redis Cluster the budgets are spread, 1
// to 1024. One exchange carries budgets of one shard, so more shards cost more
// exchanges; about as many as there are masters is enough. All processes of a fleet
// need the same number. The default is 4 for a cluster or a ring, and 1 for a single
// server or Sentinel. A number out of range is an error of [New].
func WithShards(n int) Option {
	return func(c *config) { c.shards, c.given.shards = n, true }
}

// WithInterval sets the time between exchanges of a process with Redis, from 10ms to
// a minute. It is min in a small fleet whose calls fail, but on average at least 1.7
// times min, and max for a quiet budget. The default is 200ms and 5s. Values out of
// range, or a min above max, are an error of [New].
func WithInterval(min, max time.Duration) Option {
	return func(c *config) { c.min, c.max = min, max }
}

// WithMaxSyncRate sets how many exchanges per second Redis should get from the whole
// fleet for a budget in use, 1 to 10,000,000. To keep to it, the interval of each
// process grows with the size of the fleet, up to the max of [WithInterval]. The
// default is 10000, a seventh of what a core of Redis can do. A rate out of range is
// an error of [New].
func WithMaxSyncRate(perSecond float64) Option {
	return func(c *config) { c.rate = perSecond }
}

// WithObserver adds an observer, such as [Log]. If it is given more than once, all
// observers are called, in the order of the options. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}
