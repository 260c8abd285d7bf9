package redisbreaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// A Fleet is this process's membership in a fleet that shares what it sees of services.
// Make one per process with [New] and close it at the end.
type Fleet struct{ fleet *health.Fleet }

// New joins the fleet that shares client's Redis. It does not wait for Redis: until Redis
// answers, and whenever it does not, each process judges alone. Close the client after
// the Fleet. The error names each wrong option.
func New(client redis.UniversalClient, opts ...Option) (*Fleet, error) {
	c := defaults()
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	err := c.validate()
	if client == nil {
		err = errors.Join(errors.New("redisbreaker: New: the client is nil"), err)
	}
	if err != nil {
		return nil, err
	}
	shards := c.shardsFor(client)
	if single, ok := client.(*redis.Client); ok {
		// Most clients do not look at the deadline of a context while they read. This
		// shares the connections.
		client = single.WithTimeout(health.AnswerIn)
	}
	p := health.Params{
		Shards: shards, Interval: c.interval, Services: c.maxServices, Rare: c.rare, DryRun: c.dryRun,
	}
	return &Fleet{health.New(store{c.prefix, shards, client}, p, reporter{c.observers, c.dryRun})}, nil
}

// Guard is for transport.WithFleet.
func (f *Fleet) Guard() transport.Fleet { return f.fleet.Guard() }

// Circuits is for breaker.WithShared.
func (f *Fleet) Circuits() breaker.Shared { return f.fleet.Circuits() }

// longestIsolation is a day: what is meant for good belongs in the configuration.
const longestIsolation = 24 * time.Hour

// Isolate has guards and circuits of all processes refuse all calls to a service for d,
// whatever they see, and however many calls they make. Each process follows with its next
// report, within about a second, and this one at once. It is for a service that this
// process need not call. The newest Isolate or Release wins, also over one that is
// repeated. If Redis loses its memory the processes that know of it tell it again. A
// process that starts later learns of it with its first report. It is an error unless d
// is above 0 and at most 24h, and if Redis does not answer before ctx is done.
func (f *Fleet) Isolate(ctx context.Context, service string, d time.Duration) error {
	if d <= 0 || d > longestIsolation {
		return fmt.Errorf("redisbreaker: Isolate(%.32q, %v): want above 0 and at most %v", service, d, longestIsolation)
	}
	if err := f.fleet.Isolate(ctx, service, d); err != nil {
		return fmt.Errorf("redisbreaker: Isolate(%.32q, %v): %w", service, d, err)
	}
	return nil
}

// Release ends an [Fleet.Isolate] before its time.
func (f *Fleet) Release(ctx context.Context, service string) error {
	if err := f.fleet.Isolate(ctx, service, 0); err != nil {
		return fmt.Errorf("redisbreaker: Release(%.32q): %w", service, err)
	}
	return nil
}

// Stats is what this process knows of one service. Rates are per second.
type Stats struct {
	Instances float64 // processes that report, by the time that they were there
	Calls     float64 // of the fleet; those of this process are OwnCalls
	OwnCalls  float64

	Share     float64       // of first attempts that the guards of the fleet send; 1: no overload is proved
	Circuit   float64       // share of requests that the circuits of the fleet let pass; 1: closed
	Isolated  time.Duration // for how long the service is isolated by hand; 0: it is not
	Run       float64       // timeouts in a row that nothing overtook
	Witnesses int           // processes that reported them, 4 at most

	Connected bool  // the last report had a reply
	Reports   int64 // that this process made
	Lost      int64 // of these, without a reply
}

// Stats returns a snapshot of a service. It is zero if this process does not call it.
func (f *Fleet) Stats(service string) Stats {
	s := f.fleet.Stats(service)
	return Stats{
		Instances: s.Instances, Calls: s.Calls, OwnCalls: s.OwnCalls,
		Share: s.Share, Circuit: s.Circuit, Isolated: s.Isolated, Run: s.Run, Witnesses: int(s.Witnesses),
		Connected: s.Connected, Reports: s.Reports, Lost: s.Lost,
	}
}

// Close leaves the fleet and ends its goroutine. It does not close the client. Guards and
// circuits then judge alone. There is nothing to hand back. It returns the error of ctx
// if that is done before.
func (f *Fleet) Close(ctx context.Context) error {
	if err := f.fleet.Close(ctx); err != nil {
		return fmt.Errorf("redisbreaker: Close: %w", err)
	}
	return nil
}
