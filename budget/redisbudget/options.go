package redisbudget

import (
	"errors"
	"fmt"
	"time"

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
		ok = ok && plain(c.prefix[i])
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

// WithPrefix sets what all keys start with, so that fleets can share a Redis.
// All processes of a fleet need the same. The default is "evenkeel:budget".
func WithPrefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// WithShards sets over how many slots of a Redis Cluster the budgets are
// spread. One call carries budgets of one shard, so that more shards cost more
// calls: about as many as there are masters is enough. All processes of a
// fleet need the same number. The default is 4 for a cluster or a ring, and 1
// for a single server or Sentinel.
func WithShards(n int) Option {
	return func(c *config) { c.shards, c.given.shards = n, true }
}

// WithInterval sets how often a process may talk to Redis, from 10ms to a
// minute. A small fleet does so every min while calls fail, but in the mean at
// most three times in five of it; a quiet budget every max. The default is
// 200ms and 5s.
func WithInterval(min, max time.Duration) Option {
	return func(c *config) { c.min, c.max = min, max }
}

// WithMaxSyncRate sets how many calls per second Redis should get from the
// whole fleet for a budget that is in use. The interval of each process grows
// with the size of the fleet to keep to it, up to the max of [WithInterval].
// The default is 10000, a seventh of what a core of Redis can do.
func WithMaxSyncRate(perSecond float64) Option {
	return func(c *config) { c.rate = perSecond }
}

// WithObserver adds hooks for what happens behind the budgets, such as those of
// [Log]. Given more than once, each observer is called, in the order of the
// options. The default is none.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}
