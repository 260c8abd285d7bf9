package redisstore

import (
	"errors"
	"fmt"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	prefix    string
	replicas  int
	observers []Observer
}

const (
	maxPrefix   = 64
	maxReplicas = 100
)

func defaults() config { return config{prefix: "evenkeel:idempotency"} }

func (c *config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redisstore: "+format, args...)) }
	if c.prefix == "" || len(c.prefix) > maxPrefix {
		wrong("Prefix(%q): want 1 to %d bytes", c.prefix, maxPrefix)
	}
	if c.replicas < 0 || c.replicas > maxReplicas {
		wrong("Replicas(%d): want 0 to %d", c.replicas, maxReplicas)
	}
	return errors.Join(errs...)
}

// Prefix sets what the keys in Redis begin with, so that services can share one: 1 to
// 64 bytes. The default is "evenkeel:idempotency". Any other length is an error of
// [New].
func Prefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// Replicas sets how many replicas must have a claim before the handler is called, and
// an answer before it counts as stored. If they do not confirm it within a second, the
// method returns an error: a request gets 503, and its handler is not called. The
// default is 0, and then a failover may lose claims, which are run a second time. A
// number out of 0 to 100 is an error of [New].
func Replicas(n int) Option { return func(c *config) { c.replicas = n } }

// WithObserver adds an observer, such as [Log]. It may be given more than once;
// observers are called in order. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}
