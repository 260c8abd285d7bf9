package transporttest

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdentityPasses(t *testing.T) {
	Run(t, func(base http.RoundTripper) http.RoundTripper { return base })
}

// A layer that has no method but RoundTrip passes too.
func TestFuncPasses(t *testing.T) {
	Run(t, func(base http.RoundTripper) http.RoundTripper { return roundTripper(base.RoundTrip) })
}

// A layer that repeats by the contract passes.
func TestRepeaterPasses(t *testing.T) { run(t, checks, stub, repeating(repeater{})) }

// A layer may wrap every error if it says so.
func TestWrappedErrorsPass(t *testing.T) {
	var c config
	c.checks = slices.Concat(passedOnChecks, responseChecks)
	WithWrappedErrors()(&c)
	run(t, c.checks, stub, after(wrapping))
	if len(c.checks) != len(passedOnChecks)+len(responseChecks)-1 {
		t.Errorf("%d checks are left, want all but one", len(c.checks))
	}
}

func TestRefusalPasses(t *testing.T) {
	RunRefusing(t, func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			closeBody(req)
			return nil, errors.New("refused")
		})
	})
}

// A layer may keep a goroutine of its own until it is closed.
func TestLayerWithAGoroutine(t *testing.T) {
	run(t, checks, stub, func(base http.RoundTripper) http.RoundTripper {
		l := &lasting{RoundTripper: base, stop: make(chan struct{})}
		go func() { <-l.stop }()
		return l
	})
}

type lasting struct {
	http.RoundTripper
	stop chan struct{}
}

func (l *lasting) Close() error { close(l.stop); return nil }

// A mutant breaks a sentence of the contract.
type mutant struct {
	check string
	name  string
	on    ground // where it shows; 0: wherever the check runs
	wrap  func(base http.RoundTripper) http.RoundTripper
}

// Each check must find the mutants that are there for it, and there must be
// some on each of its grounds.
func TestMutantsAreCaught(t *testing.T) {
	found := make(map[string]ground)
	for _, c := range slices.Concat(checks, refusalChecks) {
		for _, m := range mutants {
			if m.check != c.name {
				continue
			}
			for _, g := range grounds {
				if c.on&g == 0 || m.on != 0 && m.on&g == 0 {
					continue
				}
				t.Run(c.name+"/"+g.String()+"/"+m.name, func(t *testing.T) {
					var err error
					if g == stub {
						synctest.Test(t, func(*testing.T) { err = c.see(g, m.wrap, g.patience()) })
					} else {
						err = c.see(g, m.wrap, 60*time.Millisecond)
					}
					if err == nil || errors.Is(err, errLacks) {
						t.Errorf("a layer that %s passed", m.name)
					}
					t.Log(err)
					found[c.name] |= g
				})
			}
		}
		if found[c.name] != c.on {
			t.Errorf("%s: no mutant on some of its grounds", c.name)
		}
	}
	for _, m := range mutants {
		if found[m.check] == 0 {
			t.Errorf("%q is for %s, which is no check", m.name, m.check)
		}
	}
}
