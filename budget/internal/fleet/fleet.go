package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
)

// ErrClosed is returned by a Fleet after Close.
var ErrClosed = errors.New("the fleet is closed")

// ErrNoBudget is returned by Turn for a name of which the store knows nothing.
var ErrNoBudget = errors.New("no process has a budget of that name")

var errForeign = errors.New("the key holds something that is not a budget")

// MaxName is the longest name of a budget, in bytes.
const MaxName = 256

// A Fleet is this process's membership in a fleet. Make one with [New].
type Fleet struct {
	store    Store
	observer Observer
	started  time.Time
	sync     *syncer

	poke    chan struct{}
	results chan result
	closing chan context.Context
	done    chan struct{} // closed when the goroutine has ended
	closed  sync.Once
	failed  error    // of Close, valid after done
	known   sync.Map // string to *Budget

	mu       sync.Mutex // guards what follows, and additions to known
	ended    bool
	turns    []*Budget            // paused or resumed here, not yet reported
	sets     map[string]*services // by kind
	switches map[string]float64   // the newest turn of each budget that is not in known
	resting  map[string]rest      // budgets that are not in known
}

// A result is what a call came to.
type result struct {
	call    *call
	answers []Answer
	err     error
	took    time.Duration
	resent  bool
}

// New joins the fleet of a store, whose budgets are spread over so many shards.
// It starts a goroutine, which ends with Close.
func New(store Store, shards int, l Limits, o Observer) *Fleet {
	f := &Fleet{
		store: store, observer: o, started: time.Now(),
		poke: make(chan struct{}, 1), results: make(chan result),
		closing: make(chan context.Context, 1), done: make(chan struct{}),
		sets: map[string]*services{}, switches: map[string]float64{}, resting: map[string]rest{},
	}
	l.Rate /= float64(shards)
	f.sync = newSyncer(l, shards, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	f.sync.forget = f.forget
	go f.run()
	return f
}

// Budget returns the budget of that name. A second call with another policy is
// an error.
func (f *Fleet) Budget(name string, p budget.Policy) (*Budget, error) {
	err := errors.Join(checkName(name), checkPolicy(p))
	if _, short := CutKind(name); short == service.Others {
		err = errors.Join(fmt.Errorf("%q: want another name than that of all other services", name), err)
	}
	if err != nil {
		return nil, err
	}
	p = p.Filled()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, ErrClosed
	}
	if b := f.find(name); b != nil {
		if was := b.ledger.policy; was != p {
			return nil, fmt.Errorf("policy %+v: want that of the earlier call, %+v", p, was)
		}
		f.keep(b)
		return b, nil
	}
	return f.add(name, p, nil), nil
}

// checkPolicy refuses what Validate does, and what only a Local can keep: the traffic of
// one process is no measure of what the floor of a fleet may earn.
func checkPolicy(p budget.Policy) error {
	err := p.Validate()
	if p.Proportional {
		err = errors.Join(errors.New("budget: Policy.Proportional true: want false in a fleet, whose MinPerSecond is that of all processes"), err)
	}
	return err
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("want a name")
	case len(name) > MaxName:
		return fmt.Errorf("a name of %d bytes: want at most %d", len(name), MaxName)
	}
	return nil
}

// add makes a budget, or takes one that rests, with the lock held.
func (f *Fleet) add(name string, p budget.Policy, owner *services) *Budget {
	if b := f.rouse(name, p); b != nil {
		b.services = owner
		f.known.Store(b.name, b)
		return b
	}
	name = strings.Clone(name) // it may be part of a URL that is large
	key, shard := f.store.Place(name, len(f.sync.shards))
	b := newBudget(name, key, shard, p, f.wake)
	b.services = owner
	b.turn(f.switches[name])
	delete(f.switches, name)
	f.known.Store(name, b)
	f.sync.join(b)
	f.nudge()
	return b
}

// wake is called by a budget that was refused, or that is used again after it
// was forgotten. It may be called by any goroutine and never blocks for long.
func (f *Fleet) wake(b *Budget) {
	f.sync.wake(b)
	f.nudge()
}

func (f *Fleet) find(name string) *Budget {
	v, _ := f.known.Load(name)
	b, _ := v.(*Budget)
	return b
}

// nudge has the goroutine look what there is to do.
func (f *Fleet) nudge() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Stats reads the budget of that name. It is zero if no budget has that name.
func (f *Fleet) Stats(name string) budget.FleetStats {
	if b := f.find(name); b != nil {
		return b.Stats()
	}
	return budget.FleetStats{}
}

// All returns the budgets of this process, by name.
func (f *Fleet) All() iter.Seq2[string, budget.FleetStats] {
	return func(yield func(string, budget.FleetStats) bool) {
		var budgets []*Budget
		f.known.Range(func(_, b any) bool {
			budgets = append(budgets, b.(*Budget))
			return true
		})
		slices.SortFunc(budgets, func(a, b *Budget) int { return strings.Compare(a.name, b.name) })
		for _, b := range budgets {
			if !yield(b.name, b.Stats()) {
				return
			}
		}
	}
}

// Close hands the credit of this process back and ends the goroutine. It returns when
// that is done, or when ctx is: then what was not handed back yet is lost, and the
// goroutine ends when the store returns. The budgets go on by themselves. A second
// Close waits for the first in the same way, and returns nil if that has ended.
func (f *Fleet) Close(ctx context.Context) error {
	first := false
	f.closed.Do(func() { first = true })
	if first {
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		f.closing <- ctx
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		select {
		case <-f.done:
		default:
			return context.Cause(ctx)
		}
	}
	if first {
		return f.failed
	}
	return nil
}

// now is what the ledger's times count from.
func (f *Fleet) now() time.Duration { return time.Since(f.started) }
