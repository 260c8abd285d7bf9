package breaker

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
)

// Configure changes settings while the set is in use: those of one service or, with the
// service "", of all services that have none of their own. They are the settings that
// New was given, with opts applied, so each call takes back what an earlier one changed,
// and one without options goes back to those of New. Options that are about the whole
// set are an error: [WithServiceName], [WithMaxServices], [WithShared] and
// [WithObserver]. The error joins all mistakes, and nothing has changed then. The service
// is named as in [Set.State].
//
// No circuit opens or closes by it. Its next call follows the new settings. An open
// circuit is open for no longer than if it opened now. What was counted stays, unless
// [WithWindow] changed, and calls in flight count when they end, by the settings of then.
// Configure is safe for concurrent use.
func (s *Set) Configure(name string, opts ...Option) error {
	if s == nil || s.cfg.maxServices == 0 {
		return errors.New("breaker: Configure of a Set that New did not make")
	}
	changed, err := s.cfg.with(opts, fmt.Sprintf("breaker: Configure(%q): ", name))
	if err != nil {
		return err
	}
	for {
		old := s.settings.Load()
		next := &settings{fallback: old.fallback, byName: maps.Clone(old.byName)}
		switch {
		case name == "":
			next.fallback = changed
		case len(opts) == 0:
			for _, n := range spellings(name) {
				delete(next.byName, n)
			}
		default:
			if next.byName == nil {
				next.byName = map[string]*config{}
			}
			for _, n := range spellings(name) {
				next.byName[strings.Clone(n)] = changed // the name may be part of something large
			}
		}
		if s.settings.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// with returns a copy with options applied that are about the circuits of services.
func (c *config) with(opts []Option, what string) (*config, error) {
	const unset = -1
	next, given := *c, config{maxServices: unset}
	for _, opt := range opts {
		if opt != nil {
			opt(&next)
			opt(&given)
		}
	}
	var errs []error
	for _, o := range []struct {
		name  string
		given bool
	}{
		{"WithServiceName", given.service != nil}, {"WithMaxServices", given.maxServices != unset},
		{"WithShared", given.shared != nil}, {"WithObserver", len(given.hooks) > 0},
	} {
		if o.given {
			errs = append(errs, fmt.Errorf("%s%s: only New takes it", what, o.name))
		}
	}
	return &next, errors.Join(append(errs, next.validate(what))...)
}

// settings are those of all services. They are not changed after they are published.
type settings struct {
	fallback *config
	byName   map[string]*config
}

func (s *settings) of(name string) *config {
	if c, ok := s.byName[name]; ok {
		return c
	}
	return s.fallback
}

// A follower has the settings of one service as they were when it last looked.
type follower struct {
	live *atomic.Pointer[settings]
	seen atomic.Pointer[sighting]
}

type sighting struct {
	of  *settings
	cfg *config
}

// cfg returns the settings that apply now.
func (c *circuit) cfg() *config {
	if seen := c.settings.seen.Load(); seen.of == c.settings.live.Load() {
		return seen.cfg
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.follow()
}

// follow takes the newest settings over, with the circuit locked.
func (c *circuit) follow() *config {
	seen, newest := c.settings.seen.Load(), c.settings.live.Load()
	if seen.of == newest {
		return seen.cfg
	}
	cfg := newest.of(c.service)
	if cfg.window != seen.cfg.window {
		c.window = newWindow(cfg.window)
	}
	if p := c.phase.Load(); p.state == StateOpen {
		now := c.clock()
		if until := now + cfg.openTime(now-c.opened); until < p.until {
			c.phase.Store(&phase{state: StateOpen, until: until})
		}
	}
	c.settings.seen.Store(&sighting{newest, cfg})
	return cfg
}
