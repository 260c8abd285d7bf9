package breaker

import (
	"errors"
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

// A phase is a state and, above its two lowest bits, the number of changes that
// led to it. It tells a call that began in the present state from one that
// began before.
type phase uint64

func (p phase) state() State { return State(p & 3) }

func (p phase) next(s State) phase { return (p>>2+1)<<2 | phase(s) }

// What the two-step breaker is told of a call.
var (
	errFailed   = errors.New("breaker: failed")
	errExcluded = errors.New("breaker: no verdict")
)

// circuit is the breaker of one service. gobreaker counts, and decides when to
// trip and when to close; when an open circuit may be probed is decided here,
// since there the time is fixed.
type circuit struct {
	service string
	cfg     *config
	clock   func() time.Duration // monotonic, since the set was made
	cb      *gobreaker.TwoStepCircuitBreaker[struct{}]

	phases    atomic.Uint64 // the phase, as gobreaker has it
	openUntil atomic.Int64  // by clock
	used      atomic.Int64  // by clock, when a call last asked

	mu      sync.Mutex // guards what follows; never held around gobreaker or a hook
	openFor time.Duration
	probes  []*ticket // admitted while half-open and not settled
	changes []StateChange
	telling bool // a goroutine is calling the hooks
	slow    slowCalls
}

func newCircuit(service string, cfg *config, clock func() time.Duration) *circuit {
	c := &circuit{service: service, cfg: cfg, clock: clock}
	c.used.Store(int64(clock()))
	c.slow.init(cfg)
	c.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(cfg.probes),
		Interval:     cfg.window,
		BucketPeriod: (cfg.window + buckets - 1) / buckets,
		// Shorter than the circuit's own gate, which decides; long enough that
		// a call which waits for the lock while the circuit trips is refused.
		Timeout:       max(cfg.openFor*9/10, 1),
		ReadyToTrip:   c.readyToTrip,
		OnStateChange: c.changed,
		IsExcluded:    func(err error) bool { return err == errExcluded },
	})
	return c
}

// readyToTrip runs under gobreaker's lock. Requests counts admissions, so the
// ratio is of what has finished.
func (c *circuit) readyToTrip(n gobreaker.Counts) bool {
	finished := n.TotalSuccesses + n.TotalFailures
	return int(finished) >= c.cfg.minRequests && float64(n.TotalFailures) >= c.cfg.tripRatio*float64(finished) || c.slow.tripped.Load()
}

// changed runs under gobreaker's lock too: it notes the change, for tell.
func (c *circuit) changed(_ string, from, to gobreaker.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change := StateChange{Service: c.service, From: stateOf(from), To: stateOf(to)}
	switch change.To {
	case StateClosed:
		c.openFor = 0
	case StateOpen:
		if change.From == StateHalfOpen {
			c.openFor = min(c.openFor*2, c.longest())
		} else {
			c.openFor = c.cfg.openFor
		}
		change.OpenFor = c.openFor
		c.openUntil.Store(int64(c.clock() + c.openFor))
	}
	c.probes = nil // of the generation before: their results are dropped
	c.slow.clear()
	c.phases.Store(uint64(c.phase().next(change.To)))
	c.changes = append(c.changes, change)
}

func (c *circuit) phase() phase { return phase(c.phases.Load()) }

func (c *circuit) longest() time.Duration { return max(maxOpenFor, c.cfg.openFor) }

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
	switch state := c.phase().state(); {
	case time.Duration(c.openUntil.Load()) > c.clock():
		return StateOpen
	case state == StateOpen:
		return StateHalfOpen
	default:
		return state
	}
}

// idle reports whether the circuit holds nothing that would be missed: nobody
// asked for a window, and since it would have let a probe through if it opened.
func (c *circuit) idle() bool {
	last := max(c.used.Load(), c.openUntil.Load())
	return c.clock()-time.Duration(last) > c.cfg.window
}

// refusing returns for how long a call would be refused now, else 0. It changes
// nothing.
func (c *circuit) refusing() time.Duration {
	now := c.clock()
	if d := time.Duration(c.openUntil.Load()) - now; d > 0 {
		return d
	}
	if c.phase().state() != StateHalfOpen {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.probes) < c.cfg.probes {
		return 0
	}
	return max(c.probes[0].admitted+c.lostAfter()-now, 0)
}

// lostAfter is how long a probe may take until another takes its place: its
// result may never come, if the caller set no timeout.
func (c *circuit) lostAfter() time.Duration { return c.cfg.openFor }

// allow admits a call, which must be settled, or says for how long it refuses.
func (c *circuit) allow() (*ticket, *OpenError) {
	now := c.clock()
	c.used.Store(int64(now))
	if d := time.Duration(c.openUntil.Load()) - now; d > 0 {
		return nil, &OpenError{Service: c.service, RetryIn: d}
	}
	before := c.phase()
	done, err := c.cb.Allow()
	if err == gobreaker.ErrTooManyRequests && c.giveUpLost(now) {
		done, err = c.cb.Allow()
	}
	if err != nil {
		c.tell()
		return nil, &OpenError{Service: c.service, RetryIn: c.refusing()}
	}
	t := &ticket{circuit: c, done: done, admitted: now, phase: before}
	// Only to half-open does asking change the state. After any other change
	// meanwhile the call counts as one of before.
	if after := c.phase(); after.state() == StateHalfOpen {
		t.phase = after
		c.addProbe(t)
	}
	c.tell()
	return t, nil
}

// giveUpLost frees the place of the oldest probe if it is overdue.
func (c *circuit) giveUpLost(now time.Duration) bool {
	c.mu.Lock()
	var lost *ticket
	if len(c.probes) > 0 && now-c.probes[0].admitted >= c.lostAfter() {
		lost = c.probes[0]
	}
	c.mu.Unlock()
	if lost == nil {
		return false
	}
	lost.settle(errExcluded, 0)
	return true
}

// tell calls the hooks for the changes noted, in order. One goroutine does at a
// time; what comes up meanwhile, also from a hook, is left to it.
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
	for _, hook := range c.cfg.hooks {
		hook(change)
	}
}

// A ticket is the admission of one call. It is settled once. A call that began
// before the last change of state teaches nothing: what it shows was true then.
type ticket struct {
	circuit  *circuit
	done     func(error)
	admitted time.Duration
	phase    phase // in which the call began
	probe    bool
	settled  atomic.Bool
	body     body // of the response, where the call is judged at its end
}

// settle reports the outcome; hint is how long the answer asks to wait.
func (t *ticket) settle(outcome error, hint time.Duration) {
	if !t.settled.CompareAndSwap(false, true) {
		return
	}
	c := t.circuit
	if t.probe {
		c.removeProbe(t)
	}
	// gobreaker would drop a late result too, but on the way might take the
	// circuit for half-open before its time is up.
	if t.late() {
		return
	}
	t.done(outcome)
	if outcome == errFailed && hint > 0 && c.phase() == t.phase.next(StateOpen) {
		c.extend(min(hint, c.longest()))
	}
	c.tell()
}

func (t *ticket) late() bool { return t.phase != t.circuit.phase() }

// addProbe makes the ticket a probe, unless the state has changed again.
func (c *circuit) addProbe(t *ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.late() {
		t.probe = true
		c.probes = append(c.probes, t)
	}
}

func (c *circuit) removeProbe(t *ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.probes {
		if p == t {
			c.probes = append(c.probes[:i:i], c.probes[i+1:]...)
			return
		}
	}
}

// extend keeps the circuit open for at least d from now.
func (c *circuit) extend(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := int64(c.clock() + d); until > c.openUntil.Load() {
		c.openUntil.Store(until)
		for i := range c.changes {
			if c.changes[i].To == StateOpen {
				c.changes[i].OpenFor = d
			}
		}
	}
}
