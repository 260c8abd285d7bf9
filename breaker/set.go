package breaker

import (
	"iter"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// A Set holds the circuits of all services. Make one with [New] and keep it for
// the life of the program, because the circuits hold what was learnt. It is safe
// for concurrent use and starts no goroutine.
type Set struct {
	cfg      config // as New was given
	settings atomic.Pointer[settings]
	born     time.Time
	circuits *service.Set[circuit]
	apart    atomic.Pointer[isolations] // nil: no service is isolated
}

// New returns an empty set. Its error joins all mistakes in the options.
func New(opts ...Option) (*Set, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if err := cfg.validate("breaker: "); err != nil {
		return nil, err
	}
	s := &Set{cfg: cfg, born: time.Now()}
	s.settings.Store(&settings{fallback: &s.cfg})
	s.circuits = service.NewSet(cfg.maxServices, s.newCircuit, (*circuit).idle)
	return s, nil
}

func (s *Set) newCircuit(name string) *circuit {
	c := newCircuit(name, &s.settings, s.clock)
	if s.cfg.shared != nil {
		c.shared = s.cfg.shared.Service(name)
	}
	return c
}

func (s *Set) clock() time.Duration { return time.Since(s.born) }

// State returns the state of the circuit of a service. It is closed if the
// service was never called, or if there is no room for it. A circuit whose open
// time is over is half-open, even before a probe is sent. It is open while the
// service is isolated, or refused by the other processes of [WithShared]. The
// name is that of the chain of package transport, or of [WithServiceName].
// Without WithServiceName a host may be in upper case and have a default port.
func (s *Set) State(name string) State {
	for _, n := range spellings(name) {
		if s.apartFor(n) > 0 {
			return StateOpen
		}
	}
	return s.circuitOf(name)
}

// circuitOf is the state of a circuit, whatever is isolated.
func (s *Set) circuitOf(name string) State {
	c := s.circuits.Peek(name)
	if c == nil && s.cfg.service == nil {
		c = s.circuits.Peek(service.OfHost(name))
	}
	if c == nil {
		return StateClosed
	}
	return c.current()
}

// All returns the services that have circuits, and the states of the circuits.
func (s *Set) All() iter.Seq2[string, State] {
	return func(yield func(string, State) bool) {
		for name, c := range s.circuits.All() {
			state := c.current()
			if s.apartFor(name) > 0 {
				state = StateOpen
			}
			if !yield(name, state) {
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
