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

	"github.com/datapunk/evenkeel/middleware"
)

// A live storm has one backend and runs until it is interrupted. The user of the
// page decides about the faults of the backend and the policy of the clients.
type live struct {
	*storm
	lane *lane

	active atomic.Pointer[activeFault]  // nil: the backend is well
	front  atomic.Pointer[http.Handler] // the backend, with or without the middleware
	bare   http.Handler                 // the backend alone

	mu       sync.Mutex // guards what follows, and changes of the above
	policy   policy
	attempts int
	half     bool                   // every second client has the naive policy
	load     func() middleware.Load // of the server; nil: the backend alone
	history  history
}

// An activeFault is a fault of the backend and its end.
type activeFault struct {
	fault string
	until time.Time
	over  chan struct{} // closed when it is replaced or removed
}

// The faults of a backend.
const (
	faultStall = "stall" // serves nothing
	faultSlow  = "slow"  // takes five times as long: slowness
	faultBreak = "break" // answers 500 at once

	// faultDeploy answers 600 ms later and serves as many as before, as after the
	// deploy of a version that waits for something. That is no overload.
	faultDeploy = "deploy"
)

const (
	slowness   = 5
	deployAdds = 600 * time.Millisecond
)

// The errors of the page's buttons.
var (
	errNoSuch  = errors.New("no such name")
	errNotHere = errors.New("this policy does not have it")
	errRange   = errors.New("out of range")
)

func newLive(cfg config) (*live, error) {
	cfg.duration = math.MaxInt64
	s := &storm{cfg: cfg, start: time.Now()}
	l := &live{storm: s, attempts: cfg.attempts}
	l.lane = &lane{tally: newTally(s.start, 0)} // without seconds, all is counted in one sum
	wrap := func(backend http.Handler) http.Handler {
		l.bare = backend
		l.front.Store(&backend)
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			(*l.front.Load()).ServeHTTP(w, req)
		})
	}
	var err error
	if l.lane.backend, err = startBackend(newPool(cfg, l.health), wrap); err != nil {
		return nil, err
	}
	s.lanes = append(s.lanes, l.lane)
	if err := l.use(cfg.policies[0].name); err != nil {
		s.close()
		return nil, err
	}
	return l, nil
}

// run returns soon after ctx is done, when the calls have ended.
func (l *live) run(ctx context.Context) {
	var sampling sync.WaitGroup
	sampling.Go(func() { l.sampleUntil(ctx) })
	l.storm.run(ctx)
	sampling.Wait()
}

// sampleUntil takes a sample every samplePeriod until ctx is done.
func (l *live) sampleUntil(ctx context.Context) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.sample(time.Now()) // the tick itself may be late
		case <-ctx.Done():
			return
		}
	}
}

// use changes the policy for new calls. Budgets, guards and circuits start anew.
func (l *live) use(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.cfg.policies, func(p policy) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("policy %q: %w", name, errNoSuch)
	}
	p, cfg, front := l.cfg.policies[i], l.cfg, l.bare
	cfg.attempts = l.attempts
	var load func() middleware.Load
	if p.server != nil {
		cfg.loads = func(of func() middleware.Load) { load = of }
		wrap, err := p.server(cfg)
		if err != nil {
			return err
		}
		front = wrap(front)
	}
	if l.half {
		p.client = everySecondNaive(p.client)
	}
	if err := l.lane.use(p, cfg); err != nil {
		return err
	}
	l.front.Store(&front)
	l.policy, l.load = l.cfg.policies[i], load
	return nil
}

// mix has every second client retry naively, or all have the policy again.
func (l *live) mix(half bool) error {
	l.mu.Lock()
	l.half = half
	name := l.policy.name
	l.mu.Unlock()
	return l.use(name)
}

// retry changes how many attempts a call may take, in the running chains.
func (l *live) retry(attempts int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if attempts < 1 || attempts > 10 {
		return fmt.Errorf("%d attempts: %w, want 1 to 10", attempts, errRange)
	}
	cfg := l.cfg
	cfg.attempts = attempts
	for _, c := range *l.lane.clients.Load() {
		if c.naive {
			continue
		}
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

// setFault replaces the fault of the backend. An empty name removes it.
func (l *live) setFault(fault string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var next *activeFault
	switch fault {
	case faultStall, faultSlow, faultBreak, faultDeploy:
		next = &activeFault{fault: fault, until: time.Now().Add(l.cfg.stall), over: make(chan struct{})}
	case "":
	default:
		return fmt.Errorf("fault %q: %w", fault, errNoSuch)
	}
	if old := l.active.Swap(next); old != nil {
		close(old.over)
	}
	return nil
}

// fault returns the fault of the backend and the time left until its end.
func (l *live) fault(now time.Time) (name string, left time.Duration) {
	a := l.active.Load()
	if a == nil || !now.Before(a.until) {
		return "", 0
	}
	return a.fault, a.until.Sub(now)
}

func (l *live) health(now time.Time) health {
	a := l.active.Load()
	switch {
	case a == nil || !now.Before(a.until):
		return health{}
	case a.fault == faultStall:
		return health{stall: a.until.Sub(now), changed: a.over}
	case a.fault == faultSlow:
		return health{slow: slowness}
	case a.fault == faultDeploy:
		return health{later: deployAdds}
	}
	return health{broken: true}
}
