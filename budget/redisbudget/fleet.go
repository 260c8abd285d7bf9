package redisbudget

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
	"github.com/redis/go-redis/v9"
)

// ErrClosed is returned by a Fleet after Close.
var ErrClosed = errors.New("redisbudget: closed")

// A Fleet is this process's membership in a fleet that shares retry budgets.
// Make one per process with [New] and close it at the end.
type Fleet struct {
	prefix    string
	observers observers
	exec      executor
	started   time.Time
	sync      *syncer

	poke    chan struct{}
	results chan result
	closing chan context.Context
	done    chan struct{} // closed when the goroutine has ended
	closed  sync.Once
	failed  error    // of Close, valid after done
	known   sync.Map // string to *Shared

	mu    sync.Mutex // guards what follows, and additions to known
	ended bool
	turns []*Shared // paused or resumed here, not yet reported
}

// A result is what a call came to.
type result struct {
	call    *call
	answers []answer
	err     error
	took    time.Duration
}

// New joins the fleet that client's Redis keeps together. It does not wait for
// Redis, and does not need it: until it is reached, and whenever it is not,
// each budget runs on the ratio of its own requests. The client remains the
// caller's to close, after the Fleet. The error names each wrong option.
func New(client redis.UniversalClient, opts ...Option) (*Fleet, error) {
	c := defaults()
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	err := c.validate()
	if client == nil {
		err = errors.Join(errors.New("redisbudget: New: the client is nil"), err)
	}
	if err != nil {
		return nil, err
	}
	if single, ok := client.(*redis.Client); ok {
		// Most clients do not look at the deadline of a context while they
		// read. This shares the connections.
		client = single.WithTimeout(answerIn)
	}
	return newFleet(script{client}, c, c.shardsFor(client)), nil
}

func newFleet(exec executor, c config, shards int) *Fleet {
	f := &Fleet{
		prefix: c.prefix, observers: c.observers, exec: exec, started: time.Now(),
		poke: make(chan struct{}, 1), results: make(chan result),
		closing: make(chan context.Context), done: make(chan struct{}),
	}
	l := limits{min: c.min, max: c.max, rate: c.rate / float64(shards)}
	f.sync = newSyncer(l, shards, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	f.sync.forget = f.forget
	go f.run()
	return f
}

// Budget returns the budget of that name, which all processes share that ask
// for it under the same prefix; they should do so with the same policy. Keep
// what it returns: to look it up costs more than to use it. A name has 1 to
// 256 bytes. A second call with another policy is an error.
func (f *Fleet) Budget(name string, p budget.Policy) (*Shared, error) {
	err := p.Validate()
	if nameErr := checkName(name); nameErr != nil {
		err = errors.Join(nameErr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("redisbudget: Budget(%.32q): %w", name, err)
	}
	p = p.Filled()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, ErrClosed
	}
	if b := f.find(name); b != nil {
		if was := b.ledger.policy; was != p {
			return nil, fmt.Errorf("redisbudget: Budget(%.32q): there is one with the policy %+v", name, was)
		}
		f.keep(b)
		return b, nil
	}
	return f.add(name, escape(name), p, nil), nil
}

// add makes a budget, with the lock held.
func (f *Fleet) add(name, escaped string, p budget.Policy, owner *services) *Shared {
	name = strings.Clone(name) // it may be part of a URL that is large
	key, shard := keyOf(f.prefix, len(f.sync.shards), escaped)
	b := newShared(name, key, shard, p, f.wake)
	b.services = owner
	f.known.Store(name, b)
	f.sync.join(b)
	f.nudge()
	return b
}

// wake is called by a budget that was refused, or that is used again after it
// was forgotten. It may be called by any goroutine and never blocks for long.
func (f *Fleet) wake(b *Shared) {
	f.sync.wake(b)
	f.nudge()
}

func (f *Fleet) find(name string) *Shared {
	b, _ := f.known.Load(name)
	s, _ := b.(*Shared)
	return s
}

// nudge has the goroutine look what there is to do.
func (f *Fleet) nudge() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Stats reads the budget of that name. It is zero if there is none.
func (f *Fleet) Stats(name string) Stats {
	if b := f.find(name); b != nil {
		return b.Stats()
	}
	return Stats{}
}

// All returns the budgets of this process with their names, in their order.
func (f *Fleet) All() iter.Seq2[string, Stats] {
	return func(yield func(string, Stats) bool) {
		var budgets []*Shared
		f.known.Range(func(_, b any) bool {
			budgets = append(budgets, b.(*Shared))
			return true
		})
		slices.SortFunc(budgets, func(a, b *Shared) int { return strings.Compare(a.name, b.name) })
		for _, b := range budgets {
			if !yield(b.name, b.Stats()) {
				return
			}
		}
	}
}

// Pause stops all retries that the budget of that name pays for, in the whole
// fleet, until [Fleet.Resume]. Each process follows within one exchange: one
// whose calls fail within about a second, one that is quiet within the max of
// [WithInterval]. The name need not be one of a budget of this process. If it
// returns an error, nothing may have changed; it is safe to call again. The
// newest of several calls wins. A Redis that loses its memory is told again by
// the processes that know.
func (f *Fleet) Pause(ctx context.Context, name string) error {
	return f.turn(ctx, "Pause", name, 1)
}

// Resume ends a [Fleet.Pause].
func (f *Fleet) Resume(ctx context.Context, name string) error {
	return f.turn(ctx, "Resume", name, -1)
}

func (f *Fleet) turn(ctx context.Context, verb, name string, turn float64) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("redisbudget: %s(%.32q): %w", verb, name, err)
	}
	f.mu.Lock()
	ended := f.ended
	f.mu.Unlock()
	if ended {
		return ErrClosed
	}
	a, b := ask{turn: turn}, f.find(name)
	if b != nil {
		a.known = b.knows()
	}
	key, shard := keyOf(f.prefix, len(f.sync.shards), escape(name))
	answers, err := f.exec.settle(ctx, &call{shard: shard, safe: true, keys: []string{key}, asks: []ask{a}})
	if err == nil && answers[0].foreign {
		err = fmt.Errorf("%s holds something that is not a budget", key)
	}
	if err != nil {
		return fmt.Errorf("redisbudget: %s(%.32q): %w", verb, name, err)
	}
	if b != nil && b.turn(answers[0].switched) {
		f.mu.Lock()
		f.turns = append(f.turns, b)
		f.mu.Unlock()
		f.nudge()
	}
	return nil
}

// Close leaves the fleet: it hands the credit of this process back, as far as
// ctx allows, and ends what the Fleet started. It does not close the client.
// Its budgets remain usable and run on their own ratio. An error says that
// credit was lost, which is all that happens if Close is not called.
func (f *Fleet) Close(ctx context.Context) error {
	first := false
	f.closed.Do(func() { first = true })
	if first {
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		f.closing <- ctx
	}
	<-f.done
	if first {
		return f.failed
	}
	return nil
}
