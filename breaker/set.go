package breaker

import (
	"iter"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// A Set holds the circuits of all services. Make one with [New] and keep it:
// its circuits are what it has learnt. It is safe for concurrent use and
// starts no goroutine.
type Set struct {
	cfg      config
	born     time.Time
	circuits *service.Set[circuit]
}

// New returns an empty set. All that is wrong with the options is joined into
// one error.
func New(opts ...Option) (*Set, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Set{cfg: cfg, born: time.Now()}
	s.circuits = service.NewSet(cfg.maxServices, s.newCircuit, (*circuit).idle)
	return s, nil
}

func (s *Set) newCircuit(name string) *circuit { return newCircuit(name, &s.cfg, s.clock) }

func (s *Set) clock() time.Duration { return time.Since(s.born) }

// State returns the state of the circuit of a service. One that was never used
// is closed, and so is a service for which there is no room. A circuit whose
// open time is over is half-open, although no probe has been sent yet. The
// service is named as its requests are, by the chain of package transport or
// [WithServiceName]. A host may be in any spelling, except for a set with
// WithServiceName, whose names are exact.
func (s *Set) State(name string) State {
	c := s.circuits.Peek(name)
	if c == nil && s.cfg.service == nil {
		c = s.circuits.Peek(service.OfHost(name))
	}
	if c == nil {
		return StateClosed
	}
	return c.current()
}

// All returns the services that have circuits, with their states.
func (s *Set) All() iter.Seq2[string, State] {
	return func(yield func(string, State) bool) {
		for name, c := range s.circuits.All() {
			if !yield(name, c.current()) {
				return
			}
		}
	}
}

// serviceOf names the service of a request.
func (s *Set) serviceOf(req *http.Request) string {
	if s.cfg.service != nil {
		if name := s.cfg.service(req); name != "" {
			return name
		}
	}
	if name := service.Of(req.Context()); name != "" {
		return name
	}
	host := req.URL.Host
	if host == "" {
		host = req.Host
	}
	return service.OfHost(host)
}
