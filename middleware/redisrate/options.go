package redisrate

import (
	"errors"
	"fmt"
	"time"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	prefix    string
	timeout   time.Duration
	pause     time.Duration
	maxKeys   int
	observers []Observer
}

func defaults() config {
	return config{prefix: "evenkeel:rate:", timeout: 50 * time.Millisecond, pause: time.Second}
}

func (c *config) validate() error {
	var errs []error
	if c.timeout <= 0 {
		errs = append(errs, fmt.Errorf("redisrate: WithTimeout(%v): want a positive duration", c.timeout))
	}
	if c.pause <= 0 {
		errs = append(errs, fmt.Errorf("redisrate: WithPause(%v): want a positive duration", c.pause))
	}
	if c.maxKeys < 0 {
		errs = append(errs, fmt.Errorf("redisrate: WithMaxKeys(%d): want at least 1, or 0 for the default", c.maxKeys))
	}
	return errors.Join(errs...)
}

// WithPrefix sets what the keys in Redis begin with. Limiters with different quotas
// need different prefixes. The default is "evenkeel:rate:".
func WithPrefix(prefix string) Option {
	return func(c *config) { c.prefix = prefix }
}

// WithTimeout sets how long a request waits for Redis before this process decides.
// The first call of all has at least 1 s. The default is 50 ms; a duration that is not
// positive is an error. Set it well above the round trip to Redis: with answers after
// 60 ms and the default, 40 processes granted up to 2.3 times a quota of 10 per second.
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithPause sets how long Redis is left alone after it has failed to answer several
// times in a row. The default is 1 s; a duration that is not positive is an error.
func WithPause(d time.Duration) Option {
	return func(c *config) { c.pause = d }
}

// WithMaxKeys bounds how many keys this process keeps, for when Redis is not available.
// The default is 65,536, math.MaxInt means no limit, and a negative number is an error.
func WithMaxKeys(n int) Option {
	return func(c *config) { c.maxKeys = n }
}

// WithObserver adds an observer. It may be given more than once; observers are called
// in order. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// An Observer is a set of hooks. Nil fields are skipped. They are called outside locks;
// a hook that blocks may delay a request.
type Observer struct {
	// OnError is called when Redis returned an error or did not answer in time, at most
	// once per pause ([WithPause]).
	OnError func(error)
}
