package redisbreaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	prefix      string
	shards      int
	shardsGiven bool // else the kind of client decides
	interval    time.Duration
	maxServices int
	rare        float64
	observers   observers
	dryRun      bool
}

const (
	defaultPrefix = "evenkeel:health"
	// clusterShards spreads the services of a fleet over the masters of a cluster.
	clusterShards  = 4
	maxShards      = 1024
	maxPrefix      = 64
	shortest       = 100 * time.Millisecond
	longest        = time.Minute
	notPlainPrefix = "letters, digits and ._-:/@, at most 64 of them"
)

func defaults() config {
	return config{prefix: defaultPrefix, interval: time.Second, maxServices: 1024, rare: 1.5}
}

func (c *config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redisbreaker: "+format, args...)) }
	ok := c.prefix != "" && len(c.prefix) <= maxPrefix
	for i := range len(c.prefix) {
		ok = ok && plain(c.prefix[i])
	}
	if !ok {
		bad("WithPrefix(%q): want %s", c.prefix, notPlainPrefix)
	}
	if c.shardsGiven && (c.shards < 1 || c.shards > maxShards) {
		bad("WithShards(%d): want 1 to %d", c.shards, maxShards)
	}
	if c.interval < shortest || c.interval > longest {
		bad("WithInterval(%v): want %v to %v", c.interval, shortest, longest)
	}
	if c.maxServices < 1 {
		bad("WithMaxServices(%d): want at least 1", c.maxServices)
	}
	// The comparison is false for NaN.
	if !(c.rare > 0) {
		bad("WithRareBelow(%v): want calls per second above 0", c.rare)
	}
	return errors.Join(errs...)
}

// shardsFor is the number of shards that suits a client.
func (c *config) shardsFor(client redis.UniversalClient) int {
	if c.shardsGiven {
		return c.shards
	}
	switch client.(type) {
	case *redis.ClusterClient, *redis.Ring:
		return clusterShards
	}
	return 1
}

// WithPrefix sets the start of all keys, so that fleets can share a Redis. Processes in
// two regions need two prefixes, or the network of one region closes services to the
// other. All processes of a fleet need the same: 1 to 64 letters, digits and ._-:/@. The
// default is "evenkeel:health". Any other prefix is an error of [New].
func WithPrefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// WithShards sets over how many slots of a Redis Cluster the services are spread, 1 to
// 1024. A process makes one report for each shard in which it has services, so about as
// many as there are masters is enough. All processes of a fleet need the same number. The
// default is 4 for a cluster or a ring, and 1 for a single server or Sentinel. A number
// out of range is an error of [New].
func WithShards(n int) Option {
	return func(c *config) { c.shards, c.shardsGiven = n, true }
}

// WithInterval sets the time between reports of a process, from 100ms to a minute. It
// varies by 15 %, and grows in fleets of more than 10,000 processes. An overload is
// found, and its end, about two intervals later. The default is 1s. A duration out of
// range is an error of [New].
func WithInterval(d time.Duration) Option { return func(c *config) { c.interval = d } }

// WithMaxServices sets the largest number of services that a process reports, each of
// about 1 KB. A service makes room when it was not called for a minute. Services for
// which there is no room are judged by this process alone. The default is 1024. New
// returns an error unless n is at least 1.
func WithMaxServices(n int) Option { return func(c *config) { c.maxServices = n } }

// WithRareBelow sets how many calls per second to a service a process makes at least that
// keeps its own judgement of an overload. With fewer the fleet judges. The default is 1.5,
// where both recover equally fast. New returns an error unless it is above 0.
func WithRareBelow(perSecond float64) Option { return func(c *config) { c.rare = perSecond } }

// WithObserver adds an observer. If it is given more than once, all observers are called,
// in the order of the options. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// WithDryRun reports what this process sees, and learns and tells its observers the
// verdicts of the fleet, but applies none of them. Only [Fleet.Isolate] applies. The
// default is off.
func WithDryRun() Option { return func(c *config) { c.dryRun = true } }
