package transport_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
)

// withoutThrottles takes the Retry-After from each 409, which would be another
// attempt here and none there.
func (tr trial) withoutThrottles() trial {
	tr.steps = slices.Clone(tr.steps)
	for i, s := range tr.steps {
		if s.status == http.StatusConflict {
			tr.steps[i].retryAfter = ""
		}
	}
	return tr
}

// shrink makes a trial that fails as small as it goes.
func shrink(tr trial, fails func(trial) bool) trial {
	for {
		smaller := slices.IndexFunc(tr.smaller(), fails)
		if smaller < 0 {
			return tr
		}
		tr = tr.smaller()[smaller]
	}
}

// smaller returns trials that are one step simpler.
func (tr trial) smaller() []trial {
	var out []trial
	for i := range tr.steps {
		if len(tr.steps) > 1 {
			next := tr
			next.steps = slices.Delete(slices.Clone(tr.steps), i, i+1)
			out = append(out, next)
		}
		for _, simpler := range tr.steps[i].simpler() {
			next := tr
			next.steps = slices.Clone(tr.steps)
			next.steps[i] = simpler
			out = append(out, next)
		}
	}
	if tr.max > 0 {
		next := tr
		next.max--
		out = append(out, next)
	}
	if tr.body != "" {
		next := tr
		next.body = ""
		out = append(out, next)
	}
	if tr.method != "GET" {
		next := tr
		next.method, next.body = "GET", ""
		out = append(out, next)
	}
	return out
}

// simpler returns steps that are nearer to a plain 503.
func (s step) simpler() (out []step) {
	if s != (step{status: 503}) {
		out = append(out, step{status: 503})
	}
	if s.saysNo {
		out = append(out, step{status: s.status, retryAfter: s.retryAfter})
	}
	if s.retryAfter != "" {
		out = append(out, step{status: s.status, saysNo: s.saysNo})
	}
	return out
}

// The shrinker must end, and keep what makes a trial fail.
func TestShrink(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		tr := randomTrial(r)
		fails := func(tr trial) bool {
			return slices.ContainsFunc(tr.steps, func(s step) bool { return s.status == 429 })
		}
		if !fails(tr) {
			continue
		}
		small := shrink(tr, fails)
		if len(small.steps) != 1 || small.steps[0] != (step{status: 429}) || small.max != 0 || small.method != "GET" || small.body != "" {
			t.Fatalf("%v shrinks to %v, want a single 429", tr, small)
		}
	}
}
