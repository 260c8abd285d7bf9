package transport

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
)

// maxServices is how many services a chain knows at a time.
const maxServices = 1024

// known is what a chain keeps of one service. A call looks it up once and keeps it, so it
// works for that call even if the set drops it.
type known struct {
	policy atomic.Pointer[chosen]
	budget *budget.Local // nil with WithBudget
	guard  *gate         // nil with WithoutGuard, and where services share a known
	hedged *hedged       // nil without WithHedging, and where services share a known
	fleet  FleetService  // nil without WithFleet, and where services share a known
	pacer  *pacer        // nil without pacing, and where services share a known

	bulkhead *bulkhead // nil without WithInFlight, and where services share a known
}

// services holds what is known of each service. Services for which there is no room share
// a budget, but no guard: a slow one would limit the others.
type services struct {
	set      *service.Set[known]
	rest     known
	crowded  atomic.Bool // rest is in use
	policies atomic.Pointer[policies]
	paused   atomic.Pointer[map[string]time.Duration] // until when, by clock; nil: no service is
}

func newServices(cfg *config, clock func() time.Duration) (*services, error) {
	s := new(services)
	s.policies.Store(&policies{fallback: cfg.policy.filled(), byName: cfg.named()})
	var unspent budget.Stats
	ownBudget := cfg.budget == nil && !cfg.noBudget
	if ownBudget {
		b, err := budget.NewLocal(cfg.ownBudget)
		if err != nil {
			return nil, fmt.Errorf("transport: default budget: %w", err)
		}
		unspent = b.Stats()
		// Services that fail at every call would leave the others nothing of what one
		// service may spend.
		shared := cfg.ownBudget
		shared.MinPerSecond *= maxServices
		shared.Proportional = false // they are one budget however many they are
		s.rest.budget, _ = budget.NewLocal(shared)
	}
	create := func(name string) *known {
		k := new(known)
		if ownBudget {
			k.budget, _ = budget.NewLocal(cfg.ownBudget) // which is valid
		}
		if cfg.guard {
			k.guard = newGate(clock)
		}
		if cfg.fleet != nil {
			k.fleet = cfg.fleet.Service(name)
		}
		if !cfg.pacing.Off {
			k.pacer = newPacer(cfg.pacing.filled(), clock)
		}
		if cfg.inFlight != nil {
			k.bulkhead = newBulkhead(*cfg.inFlight, clock)
		}
		if cfg.hedge != nil {
			k.hedged = newHedged(cfg.hedge.filled())
		}
		return k
	}
	s.set = service.NewSet(maxServices, create, func(k *known) bool { return k.idle(clock(), unspent) })
	return s, nil
}

// idle reports whether nothing is lost if a new known replaces this one. unspent are the
// Stats of a new budget.
func (k *known) idle(now time.Duration, unspent budget.Stats) bool {
	if k.budget != nil {
		if b := k.budget.Stats(); b.Balance < unspent.Balance || b.Ceiling > unspent.Ceiling {
			return false
		}
	}
	return (k.guard == nil || k.guard.idle(now)) && (k.hedged == nil || k.hedged.idle()) && (k.pacer == nil || k.pacer.idle()) && (k.bulkhead == nil || k.bulkhead.idle())
}

// find returns what is known of a service, and its policy.
func (s *services) find(name string) (*known, *Policy) {
	all := s.policies.Load()
	k := s.set.Get(name)
	if k == nil {
		if !s.crowded.Load() {
			s.crowded.Store(true)
		}
		return &s.rest, all.of(name)
	}
	c := k.policy.Load()
	if c == nil || c.among != all {
		c = &chosen{all, all.of(name)}
		k.policy.Store(c)
	}
	return k, c.policy
}

// Budgets returns the budgets that the chain made, by service, with their figures. The
// services that share one come last, as "(other services)". It is for metrics, such as
// the Budgets method of package prommetrics. With [WithBudget] it returns nothing,
// because those budgets belong to the caller.
func (t *Transport) Budgets() iter.Seq2[string, budget.Stats] {
	return func(yield func(string, budget.Stats) bool) {
		if !t.made() || t.services.rest.budget == nil {
			return
		}
		for name, k := range t.services.set.All() {
			if !yield(name, k.budget.Stats()) {
				return
			}
		}
		if t.services.crowded.Load() {
			yield("(other services)", t.services.rest.budget.Stats())
		}
	}
}

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

// spelt returns a name of a service as requests have it. Hosts have one spelling, and the
// user's own names are exact.
func spelt(name string, own func(*http.Request) string) string {
	if own != nil {
		return name
	}
	return service.OfHost(name)
}

// policies is not changed after it is published.
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

// chosen is the policy of one service. It is valid while among is current.
type chosen struct {
	among  *policies
	policy *Policy
}

// SetPolicy changes the policy of one service for calls that start later. It is named as
// in [WithServicePolicy]. An empty name means all services that have no policy of their
// own. An invalid policy changes nothing. SetPolicy is safe for concurrent use.
//
// The zero Policy removes the service's own policy, also that of [WithServicePolicy]. To
// give a service the defaults of [Policy] where others have something else, set one field
// to its default. For an empty name the zero Policy means the defaults, as in
// [WithPolicy].
func (t *Transport) SetPolicy(service string, p Policy) error {
	if !t.made() {
		return errNotMade
	}
	if err := p.validate(); err != nil {
		return fmt.Errorf("transport: SetPolicy(%q): %w", service, err)
	}
	for {
		old := t.services.policies.Load()
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
		if t.services.policies.CompareAndSwap(old, next) {
			return nil
		}
	}
}
