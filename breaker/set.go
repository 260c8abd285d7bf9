package breaker

import (
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A Set holds the circuits of all services. Make one with [New] and keep it:
// its circuits are what it has learnt. It is safe for concurrent use and
// starts no goroutine.
type Set struct {
	cfg   config
	born  time.Time
	known sync.Map // string to *circuit

	overflow atomic.Pointer[circuit] // nil until there is no room

	mu     sync.Mutex // guards what follows, and additions to known
	count  int
	looked time.Duration // when makeRoom last went through all of them
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
	return &Set{cfg: cfg, born: time.Now()}, nil
}

func (s *Set) clock() time.Duration { return time.Since(s.born) }

// State returns the state of the circuit of a service; one that was never used
// is closed, unless there is no room for it: then it is as the circuit that such
// services share. A circuit whose open time is over is half-open, although no
// probe has been sent yet. The service is named as its requests are, by the
// chain of package transport or [WithServiceName]; a host may be in any
// spelling, but for a set with WithServiceName, whose names are exact.
func (s *Set) State(service string) State {
	if _, known := s.known.Load(service); !known && s.cfg.service == nil {
		service = headers.HostService(service)
	}
	if c := s.look(service); c != nil {
		return c.current()
	}
	return StateClosed
}

// All returns the services that have circuits, with their states. Those that
// share one come last, as "(other services)".
func (s *Set) All() iter.Seq2[string, State] {
	return func(yield func(string, State) bool) {
		more := true
		s.known.Range(func(service, c any) bool {
			more = yield(service.(string), c.(*circuit).current())
			return more
		})
		if shared := s.overflow.Load(); more && shared != nil {
			yield(shared.service, shared.current())
		}
	}
}

// look returns the circuit that a service has, or shares for want of room. It
// is nil for a service that was never used.
func (s *Set) look(service string) *circuit {
	if c, ok := s.known.Load(service); ok {
		return c.(*circuit)
	}
	return s.overflow.Load()
}

func (c *circuit) current() State {
	switch state := State(c.state.Load()); {
	case time.Duration(c.openUntil.Load()) > c.clock():
		return StateOpen
	case state == StateOpen:
		return StateHalfOpen
	default:
		return state
	}
}

func (s *Set) circuit(service string) *circuit {
	if c, ok := s.known.Load(service); ok {
		return c.(*circuit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.known.Load(service); ok {
		return c.(*circuit)
	}
	if s.count >= s.cfg.maxServices && !s.makeRoom() {
		if s.overflow.Load() == nil {
			s.overflow.Store(newCircuit("(other services)", &s.cfg, s.clock))
		}
		return s.overflow.Load()
	}
	c := newCircuit(service, &s.cfg, s.clock)
	c.used.Store(int64(s.clock()))
	s.known.Store(service, c)
	s.count++
	return c
}

// makeRoom drops the circuits that are closed and not in use. It looks at most
// once a second, which bounds what a flood of new names costs.
func (s *Set) makeRoom() bool {
	now := s.clock()
	if s.looked > 0 && now-s.looked < time.Second {
		return false
	}
	s.looked = max(now, 1)
	dropped := false
	s.known.Range(func(service, v any) bool {
		c := v.(*circuit)
		if c.current() == StateClosed && now-time.Duration(c.used.Load()) > s.cfg.window {
			s.known.Delete(service)
			s.count--
			dropped = true
		}
		return true
	})
	return dropped
}

// serviceOf names the service of a request.
func (s *Set) serviceOf(req *http.Request) string {
	if s.cfg.service != nil {
		if name := s.cfg.service(req); name != "" {
			return name
		}
	}
	if name := headers.Service(req.Context()); name != "" {
		return name
	}
	host := req.URL.Host
	if host == "" {
		host = req.Host
	}
	return headers.HostService(host)
}
