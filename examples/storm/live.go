package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A live storm has one backend and goes on until it is ended. What befalls the
// backend, and what the clients do about it, is up to who looks on.
type live struct {
	*storm
	lane *lane

	ailing atomic.Pointer[ailment]      // nil: the backend is well
	front  atomic.Pointer[http.Handler] // what stands before the backend; the backend alone at least
	naked  http.Handler

	mu       sync.Mutex // guards what follows, and changes of the above
	policy   policy
	attempts int
	history  history
}

// An ailment is a fault that the backend has for a time.
type ailment struct {
	fault string
	until time.Time
	over  chan struct{} // closed if another, or none, takes its place
}

// The faults of a backend.
const (
	faultStall = "stall" // serves nothing
	faultSlow  = "slow"  // takes slowness times as long
	faultBreak = "break" // answers 500 at once
)

const slowness = 5

// What a live storm refuses.
var (
	errNoSuch  = errors.New("there is none of that name")
	errNotHere = errors.New("not with this policy")
	errRange   = errors.New("out of range")
)

func newLive(cfg config) (*live, error) {
	cfg.duration = math.MaxInt64
	s := &storm{cfg: cfg, start: time.Now()}
	l := &live{storm: s, attempts: cfg.attempts}
	l.lane = &lane{tally: newTally(s.start, 0)} // which leaves all to what comes after
	wrap := func(backend http.Handler) http.Handler {
		l.naked = backend
		l.front.Store(&backend)
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			(*l.front.Load()).ServeHTTP(w, req)
		})
	}
	var err error
	if l.lane.backend, err = startBackend(newFloor(cfg, l.health), wrap); err != nil {
		return nil, err
	}
	s.lanes = append(s.lanes, l.lane)
	if err := l.use(cfg.policies[0].name); err != nil {
		s.close()
		return nil, err
	}
	return l, nil
}

// run returns when ctx has ended, and soon after the calls have.
func (l *live) run(ctx context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() { l.look(ctx) })
	l.storm.run(ctx)
	looking.Wait()
}

// look takes a sample now and then.
func (l *live) look(ctx context.Context) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.sample(time.Now()) // the tick may be of a while ago
		case <-ctx.Done():
			return
		}
	}
}

// use changes the policy, for calls that begin from now on. What the clients
// have learnt is gone with the old one.
func (l *live) use(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.cfg.policies, func(p policy) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("policy %q: %w", name, errNoSuch)
	}
	p, cfg, front := l.cfg.policies[i], l.cfg, l.naked
	cfg.attempts = l.attempts
	if p.server != nil {
		wrap, err := p.server(cfg)
		if err != nil {
			return err
		}
		front = wrap(front)
	}
	if err := l.lane.use(p, cfg); err != nil {
		return err
	}
	l.front.Store(&front)
	l.policy = p
	return nil
}

// retry changes how many attempts a call may take, in the chains that are in
// use.
func (l *live) retry(attempts int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if attempts < 1 || attempts > 10 {
		return fmt.Errorf("%d attempts: %w, want 1 to 10", attempts, errRange)
	}
	cfg := l.cfg
	cfg.attempts = attempts
	for _, c := range *l.lane.clients.Load() {
		if c.chain == nil {
			return fmt.Errorf("attempts of %s: %w", l.policy.title, errNotHere)
		}
		if err := c.chain.SetPolicy("", cfg.retries()); err != nil {
			return err
		}
	}
	l.attempts = attempts
	return nil
}

// strike gives the backend a fault in place of the one it has. No fault heals
// it.
func (l *live) strike(fault string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var next *ailment
	switch fault {
	case faultStall, faultSlow, faultBreak:
		next = &ailment{fault: fault, until: time.Now().Add(l.cfg.stall), over: make(chan struct{})}
	case "":
	default:
		return fmt.Errorf("fault %q: %w", fault, errNoSuch)
	}
	if old := l.ailing.Swap(next); old != nil {
		close(old.over)
	}
	return nil
}

// fault returns what the backend suffers from, and for how long it still will.
func (l *live) fault(now time.Time) (name string, left time.Duration) {
	a := l.ailing.Load()
	if a == nil || !now.Before(a.until) {
		return "", 0
	}
	return a.fault, a.until.Sub(now)
}

func (l *live) health(now time.Time) health {
	a := l.ailing.Load()
	switch {
	case a == nil || !now.Before(a.until):
		return health{}
	case a.fault == faultStall:
		return health{stall: a.until.Sub(now), changed: a.over}
	case a.fault == faultSlow:
		return health{slow: slowness}
	}
	return health{broken: true}
}
