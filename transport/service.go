package transport

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/datapunk/evenkeel/headers/service"
)

// serviceOf names the service of a request.
func (t *Transport) serviceOf(req *http.Request) string {
	if req.URL == nil {
		return service.OfHost(req.Host)
	}
	if t.service != nil {
		if name := t.service(req); name != "" {
			return name
		}
	}
	host := req.URL.Host
	if host == "" {
		host = req.Host
	}
	return service.OfHost(host)
}

// spelt is the name of a service that somebody has written down, as requests
// have it: hosts have one spelling, and names of the user's own are exact.
func spelt(name string, own func(*http.Request) string) string {
	if own != nil {
		return name
	}
	return service.OfHost(name)
}

// policies is never changed once it is published.
type policies struct {
	fallback *Policy
	byName   map[string]*Policy
}

func (p *policies) of(service string) *Policy {
	if own, ok := p.byName[service]; ok {
		return own
	}
	return p.fallback
}

// SetPolicy changes the policy of one service, for calls that start from now
// on; calls under way keep theirs. The service is named as in
// [WithServicePolicy]; an empty name means every service that has no policy of
// its own. It is safe to call at any time; a policy that is not valid changes
// nothing.
//
// The zero Policy takes away what a service has of its own, by [WithServicePolicy]
// too: the policy of all other services holds for it again. To give a service the
// defaults of [Policy] where the others have something else, set a field to its
// default. For an empty name the zero Policy is the defaults, as in [WithPolicy].
func (t *Transport) SetPolicy(service string, p Policy) error {
	if !t.made() {
		return errNotMade
	}
	if err := p.validate(); err != nil {
		return fmt.Errorf("transport: SetPolicy(%q): %w", service, err)
	}
	for {
		old := t.policies.Load()
		next := &policies{fallback: old.fallback, byName: maps.Clone(old.byName)}
		switch {
		case service == "":
			next.fallback = p.filled()
		case p.isZero():
			delete(next.byName, spelt(service, t.service))
		default:
			if next.byName == nil {
				next.byName = make(map[string]*Policy)
			}
			// A copy: the name may be part of something large.
			next.byName[strings.Clone(spelt(service, t.service))] = p.filled()
		}
		if t.policies.CompareAndSwap(old, next) {
			return nil
		}
	}
}
