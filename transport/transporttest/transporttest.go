package transporttest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Run checks the layer that wrap puts around base. Each sentence of the
// contract is a subtest on each ground.
func Run(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper, opts ...Option) {
	t.Helper()
	c := config{checks: checks}
	for _, opt := range opts {
		opt(&c)
	}
	run(t, c.checks, everywhere, wrap)
}

// An Option says of a layer that it does what the contract allows and most
// layers need not do.
type Option func(*config)

type config struct{ checks []check }

// WithWrappedErrors says that the layer puts an error of the base into one of
// its own even if it did no more than pass the call on. Then error_passed_on
// is left out; error_kept, by which errors.Is finds the base's error and its
// Timeout stays, is not. The default is that such an error is the base's own.
func WithWrappedErrors() Option {
	return func(c *config) {
		c.checks = slices.DeleteFunc(slices.Clone(c.checks), func(c check) bool { return c.name == wrapped })
	}
}

// RunRefusing checks a layer that wrap returns in a state in which it refuses
// every request, such as behind an open circuit or a limit of none: that it
// sends nothing, answers with an error or a response of its own, and leaves
// nothing of the request behind.
func RunRefusing(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper) {
	t.Helper()
	run(t, refusalChecks, stub, wrap)
}

var checks = slices.Concat(requestChecks, bodyChecks, repeatChecks, copyChecks, responseChecks, passedOnChecks, contextChecks, streamChecks, clientChecks)

// A check is a sentence of the contract, and how to see whether it is kept.
type check struct {
	name string
	says string
	on   ground
	run  func(*env) error
}

// A ground is what the layer stands on; several are a set.
type ground int

const (
	stub ground = 1 << iota
	http1
	http2

	wires      = http1 | http2
	everywhere = stub | wires
)

var grounds = []ground{stub, http1, http2}

func (g ground) String() string {
	switch g {
	case stub:
		return "stub"
	case http1:
		return "http1"
	}
	return "http2"
}

// patience is how long a check waits for what should come at once. On the stub
// it is fake time, and longer than any layer waits before it sends again.
func (g ground) patience() time.Duration {
	if g == stub {
		return time.Hour
	}
	return 20 * time.Second
}

// errLacks ends a check of what the layer need not have.
var errLacks = errors.New("nothing to check")

func run(t *testing.T, checks []check, on ground, wrap func(http.RoundTripper) http.RoundTripper) {
	t.Helper()
	for _, g := range grounds {
		if on&g == 0 {
			continue
		}
		t.Run(g.String(), func(t *testing.T) {
			for _, c := range checks {
				if c.on&g != 0 {
					t.Run(c.name, func(t *testing.T) { c.test(t, g, wrap) })
				}
			}
		})
	}
}

func (c check) test(t *testing.T, g ground, wrap func(http.RoundTripper) http.RoundTripper) {
	t.Helper()
	var err error
	if g == stub {
		synctest.Test(t, func(*testing.T) { err = c.see(g, wrap, g.patience()) })
	} else {
		err = c.see(g, wrap, g.patience())
	}
	switch {
	case errors.Is(err, errLacks):
		t.Skip(err)
	case err != nil:
		t.Error(err)
	}
}

// see runs the check once. Its error says which sentence is broken.
func (c check) see(g ground, wrap func(http.RoundTripper) http.RoundTripper, patience time.Duration) error {
	e := newEnv(g, wrap, patience)
	defer e.close()
	err := c.run(e)
	if err == nil || errors.Is(err, errLacks) {
		return err
	}
	return fmt.Errorf("the contract says: %s\nseen: %w", c.says, err)
}
