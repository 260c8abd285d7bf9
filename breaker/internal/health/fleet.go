package health

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// ErrClosed is returned by a Fleet after Close.
var ErrClosed = errors.New("the fleet is closed")

// ErrForeign is returned for a key that holds something else.
var ErrForeign = errors.New("the key holds something that is not ours")

// Params are the settings of a [Fleet].
type Params struct {
	Shards   int
	Interval time.Duration // between reports
	Services int           // that are kept at most
	Rare     float64       // calls per second below which the verdict on overload applies
	DryRun   bool          // no verdict applies
}

// A Fleet is this process's membership in a fleet. Make one with [New].
type Fleet struct {
	store    Store
	params   Params
	observer Observer
	started  time.Time
	id       float64
	services *service.Set[Service]

	poke    chan struct{}
	results chan result
	closing chan struct{}
	done    chan struct{} // closed when the goroutine has ended
	closed  sync.Once

	mu     sync.Mutex // guards what follows
	ended  bool
	urgent bool       // there is bad news, or a service that is new
	joined []*Service // not yet among those that are reported
}

// New joins the fleet of a store. It starts a goroutine, which ends with Close.
func New(store Store, p Params, o Observer) *Fleet {
	f := &Fleet{
		store: store, params: p, observer: o, started: time.Now(), id: float64(rand.Uint32()),
		poke: make(chan struct{}, 1), results: make(chan result),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	f.services = service.NewSet(p.Services, f.newService, (*Service).unused)
	go f.run()
	return f
}

func (f *Fleet) newService(name string) *Service {
	key, shard := f.store.Place(name)
	s := &Service{name: name, key: key, shard: shard, wake: f.wake, now: f.now}
	s.own.heard = Reply{Share: 1, Circuit: 1, Passed: -1}
	s.verdict.Store(&verdict{share: 1, circuit: 1, asleep: true})
	return s
}

// unused reports whether a service can be dropped.
func (s *Service) unused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.own.in
}

// Service returns what this process knows of a service, or nil if there is no room.
func (f *Fleet) Service(name string) *Service {
	s := f.services.Get(name)
	if s != nil && s.verdict.Load().asleep {
		f.wake(s, false)
	}
	return s
}

// wake is called by a service that is used again, or that has bad news.
func (f *Fleet) wake(s *Service, bad bool) {
	asleep := s.verdict.Load().asleep
	f.mu.Lock()
	if f.ended || !asleep && !bad {
		f.mu.Unlock()
		return
	}
	if asleep && s.enter(f.now(), f.params) {
		f.joined = append(f.joined, s)
	}
	f.urgent = true
	f.mu.Unlock()
	f.nudge()
}

// nudge has the goroutine look what there is to do.
func (f *Fleet) nudge() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// now is the clock of this process's part of the fleet.
func (f *Fleet) now() time.Duration { return time.Since(f.started) }

// Isolate isolates a service in all processes for d, or releases it if d is 0.
func (f *Fleet) Isolate(ctx context.Context, name string, d time.Duration) error {
	f.mu.Lock()
	ended := f.ended
	f.mu.Unlock()
	if ended {
		return ErrClosed
	}
	key, _ := f.store.Place(name)
	r := Report{ID: f.id, Passed: -1, Isolate: -1}
	if d > 0 {
		r.Isolate = d.Seconds()
	}
	s := f.services.Get(name)
	if s != nil {
		s.mu.Lock()
		r.IsolatedAt, r.IsolatedUntil = s.own.heard.IsolatedAt, s.own.heard.IsolatedUntil
		s.mu.Unlock()
	}
	replies, err := f.store.Exchange(ctx, []string{key}, []Report{r})
	if err == nil && replies[0].Foreign {
		err = fmt.Errorf("%s: %w", key, ErrForeign)
	}
	if err != nil {
		return err
	}
	if s != nil {
		s.isolate(replies[0], f.now(), f.params)
		f.wake(s, true) // or nobody would see it end
	}
	return nil
}

// Stats is a snapshot of a service, as this process knows it.
type Stats struct {
	Reply
	OwnCalls  float64       // per second
	Isolated  time.Duration // for how long it still is
	Connected bool
	Reports   int64
	Lost      int64
}

// Stats returns a snapshot of a service. It is zero if no service has that name.
func (f *Fleet) Stats(name string) Stats {
	if s := f.services.Peek(name); s != nil {
		return s.stats(f.now())
	}
	return Stats{}
}

// All returns the services of this process, in no particular order.
func (f *Fleet) All() iter.Seq2[string, Stats] {
	return func(yield func(string, Stats) bool) {
		for name, s := range f.services.All() {
			if !yield(name, s.stats(f.now())) {
				return
			}
		}
	}
}

func (s *Service) stats(now time.Duration) Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	return Stats{
		Reply: o.heard, OwnCalls: o.rate, Isolated: max(o.isolated-now, 0),
		Connected: o.connected, Reports: o.reports, Lost: o.lost,
	}
}

// Close leaves the fleet: the verdicts apply no more, and the goroutine ends. It returns
// the error of ctx if that is done before, and a second Close waits as the first does.
func (f *Fleet) Close(ctx context.Context) error {
	f.closed.Do(func() {
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		close(f.closing)
	})
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
