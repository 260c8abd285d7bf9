package breaker

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// State is the state of a circuit.
type State int8

const (
	StateClosed   State = iota // calls pass
	StateHalfOpen              // probes pass
	StateOpen                  // calls are refused
)

// String returns closed, half-open or open.
func (s State) String() string {
	switch s {
	case StateHalfOpen:
		return "half-open"
	case StateOpen:
		return "open"
	}
	return "closed"
}

// A phase is the time between two changes of state. A call that began in the
// present phase is told from one that began before by the address of its phase.
type phase struct {
	state State
	until time.Duration // by clock, the end of an open time
}

// openLeft returns how much of the open time is left.
func (p *phase) openLeft(now time.Duration) time.Duration { return max(p.until-now, 0) }

// A verdict is what a call shows of its service.
type verdict int8

const (
	succeeded verdict = iota
	failed
	ignored // nothing
)

// circuit is the breaker of one service. gobreaker is its state machine. It is
// told only what may change the state: that the calls of the window are reason
// to open, that an open time is over, and how probes end. So most calls cost
// one short critical section.
type circuit struct {
	service  string
	settings follower
	clock    func() time.Duration  // monotonic, since the set was made
	shared   SharedService         // nil without WithShared
	phase    atomic.Pointer[phase] // as gobreaker has it

	mu      sync.Mutex // guards what follows; not held around hooks
	cb      *gobreaker.TwoStepCircuitBreaker[struct{}]
	window  window        // of calls that began in the present phase
	opened  time.Duration // when it left closed
	probes  []*probe      // admitted and not settled, except for those overdue
	good    int           // probes that succeeded in the present phase
	used    time.Duration // when something was last learnt or asked
	changes []StateChange // not told yet
	telling bool          // a goroutine is calling the hooks
}

func newCircuit(service string, live *atomic.Pointer[settings], clock func() time.Duration) *circuit {
	newest := live.Load()
	cfg := newest.of(service)
	c := &circuit{service: service, clock: clock, used: clock(), window: newWindow(cfg.window)}
	c.settings.live = live
	c.settings.seen.Store(&sighting{newest, cfg})
	c.phase.Store(&phase{state: StateClosed})
	c.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   1,               // it is told when enough probes succeeded
		Timeout:       time.Nanosecond, // the circuit knows when an open time is over
		ReadyToTrip:   func(gobreaker.Counts) bool { return true },
		OnStateChange: c.changed,
	})
	return c
}

// changed is called by gobreaker, with the circuit locked.
func (c *circuit) changed(_ string, from, to gobreaker.State) {
	now := c.clock()
	change := StateChange{Service: c.service, From: stateOf(from), To: stateOf(to)}
	if change.To == StateOpen {
		if change.From == StateClosed {
			c.opened = now
		}
		change.OpenFor = c.settings.seen.Load().cfg.openTime(now - c.opened)
	}
	c.phase.Store(&phase{state: change.To, until: now + change.OpenFor})
	c.probes, c.good = nil, 0
	c.window.clear()
	c.changes = append(c.changes, change)
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateHalfOpen:
		return StateHalfOpen
	case gobreaker.StateOpen:
		return StateOpen
	}
	return StateClosed
}

// current returns the state as a caller would find it: half-open once the open
// time is over, although no probe was sent yet.
func (c *circuit) current() State {
	if c.sharedFor() > 0 {
		return StateOpen
	}
	c.cfg() // may end an open time
	p := c.phase.Load()
	if p.state == StateOpen && p.openLeft(c.clock()) == 0 {
		return StateHalfOpen
	}
	return p.state
}

// idle reports whether the circuit holds nothing that would be missed: a window
// has passed since something was learnt, and since an open time was over.
func (c *circuit) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock()-max(c.used, c.phase.Load().until) > c.follow().window
}

// refusing returns for how long a call would be refused now, else 0. It changes
// nothing.
func (c *circuit) refusing() time.Duration {
	return max(c.sharedFor(), c.refusingAlone())
}

// refusingAlone is what the circuit itself says.
func (c *circuit) refusingAlone() time.Duration {
	c.cfg() // may end an open time
	switch p := c.phase.Load(); p.state {
	case StateOpen:
		return p.openLeft(c.clock())
	case StateHalfOpen:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.full(c.clock())
	}
	return 0
}

// full returns how long it is until there is room for another probe, with the circuit
// locked.
func (c *circuit) full(now time.Duration) time.Duration {
	if len(c.probes) < c.follow().probes {
		return 0
	}
	return max(c.probes[0].overdue-now, 0)
}

// admit lets a call pass, which must be settled, or says for how long calls are
// refused.
func (c *circuit) admit() (ticket, *OpenError) {
	if refused := c.heard(); refused != nil {
		return ticket{}, refused
	}
	cfg := c.cfg()
	t := ticket{circuit: c, phase: c.phase.Load()}
	if t.phase.state != StateClosed {
		return c.ask()
	}
	if cfg.timed() {
		t.admitted = max(c.clock(), 1)
	}
	return t, nil
}

// ask admits a call to a circuit that is not closed, as a probe.
func (c *circuit) ask() (ticket, *OpenError) {
	defer c.tell()
	c.mu.Lock()
	defer c.mu.Unlock()
	now, cfg := c.clock(), c.follow()
	c.used = now
	if left := c.phase.Load().openLeft(now); left > 0 {
		return ticket{}, &OpenError{Service: c.service, RetryIn: left}
	}
	c.cb.State() // an open circuit becomes half-open
	t := ticket{circuit: c, phase: c.phase.Load(), admitted: now}
	if t.phase.state == StateHalfOpen {
		if left := c.full(now); left > 0 {
			return t, &OpenError{Service: c.service, RetryIn: left}
		}
		if len(c.probes) >= cfg.probes {
			c.probes = slices.Delete(c.probes, 0, 1)
		}
		t.probe = &probe{overdue: now + cfg.openFor}
		c.probes = append(c.probes, t.probe)
	}
	return t, nil
}

// A probe is a call that a half-open circuit let through. Once it is overdue
// another may take its place, since its result may never come if the caller set
// no timeout. A result that does come counts.
type probe struct{ overdue time.Duration }

// A ticket is the admission of one call, which is settled once.
type ticket struct {
	circuit  *circuit
	phase    *phase        // in which the call began
	admitted time.Duration // known to probes, and where calls can be slow; else 0
	probe    *probe        // or nil
	slow     bool
}

// settle reports how a call ended. One that began before the last change of
// state shows what was true then, so it counts no more.
func (t *ticket) settle(v verdict) {
	if v == ignored && t.probe == nil {
		return
	}
	c := t.circuit
	if c.shared != nil && v != ignored {
		c.shared.Saw(v == succeeded)
	}
	if c.learn(t, v) {
		c.tell()
	}
}

// learn reports whether the state has changed.
func (c *circuit) learn(t *ticket, v verdict) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.phase != c.phase.Load() {
		return false
	}
	c.used = c.clock()
	if t.probe != nil {
		c.probes = slices.DeleteFunc(c.probes, func(p *probe) bool { return p == t.probe })
		if v == succeeded {
			c.good++
		}
		if v == failed || v == succeeded && c.good >= c.follow().probes {
			c.report(v)
		}
		return len(c.changes) > 0
	}
	cfg := c.follow()
	n := tally{finished: 1}
	if v == failed {
		n.failed = 1
	}
	if t.slow {
		n.slow = 1
	}
	if sum := c.window.add(c.used, n); (v == failed || t.slow) && cfg.trips(sum) {
		c.report(failed)
	}
	return len(c.changes) > 0
}

// report tells gobreaker of a call that began and ended in its present state.
func (c *circuit) report(v verdict) {
	done, err := c.cb.Allow()
	if err != nil {
		return
	}
	if v == failed {
		done(errFailed)
	} else {
		done(nil)
	}
}

// errFailed is what gobreaker is told of a failure.
var errFailed = errors.New("breaker: failed")

// tell calls the hooks for the changes noted, in order. One goroutine does at a
// time. Changes that come up meanwhile, from a hook too, are left to it.
func (c *circuit) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.telling || len(c.changes) == 0 {
		return
	}
	c.telling = true
	defer func() { c.telling = false }()
	for len(c.changes) > 0 {
		change := c.changes[0]
		c.changes = c.changes[1:]
		c.call(change)
	}
}

// call runs the hooks with the lock released, and held again after a panic.
func (c *circuit) call(change StateChange) {
	c.mu.Unlock()
	defer c.mu.Lock()
	for _, hook := range c.settings.seen.Load().cfg.hooks {
		hook(change)
	}
}
