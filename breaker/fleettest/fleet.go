package fleettest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
)

// A Member is one process of a fleet, such as a redisbreaker.Fleet.
type Member interface {
	Guard() transport.Fleet
	Circuits() breaker.Shared
	Isolate(ctx context.Context, service string, d time.Duration) error
	Close(ctx context.Context) error
}

// A Fleet keeps in memory what its members report. Make one with [New]. In a bubble of
// testing/synctest it takes no time.
type Fleet struct {
	store *health.Memory
	link  func(member int) (time.Duration, error)
	count int
}

// New returns a fleet without members. The func link is called for each exchange of a
// member, counted from 0 in the order of Join, and may be called concurrently. It returns
// how long the exchange takes, and an error if it is lost on the way. A nil link takes
// no time and loses nothing.
func New(link func(member int) (time.Duration, error)) *Fleet {
	started := time.Now()
	now := func() float64 { return 1e15 + float64(time.Since(started).Microseconds()) }
	return &Fleet{store: health.NewMemory(now), link: link}
}

// Join adds a member, which reports once a second. It must not be called concurrently.
// Close the member at the end.
func (f *Fleet) Join() Member {
	number := f.count
	f.count++
	p := health.Params{Shards: 1, Interval: time.Second, Services: 1024, Rare: 1.5}
	return member{health.New(&line{f, number}, p, silent{})}
}

type member struct{ *health.Fleet }

// Isolate has the limits of a redisbreaker.Fleet.
func (m member) Isolate(ctx context.Context, service string, d time.Duration) error {
	if d <= 0 || d > 24*time.Hour {
		return fmt.Errorf("fleettest: Isolate(%q, %v): want above 0 and at most 24h", service, d)
	}
	return m.Fleet.Isolate(ctx, service, d)
}

// A line is the way of a member to the store.
type line struct {
	fleet  *Fleet
	number int
}

func (l *line) Place(name string) (key string, shard int) { return l.fleet.store.Place(name) }

// errLost is the error of an exchange that got no reply in time.
var errLost = errors.New("fleettest: no reply in time")

func (l *line) Exchange(ctx context.Context, keys []string, reports []health.Report) ([]health.Reply, error) {
	var d time.Duration
	var lost error
	if l.fleet.link != nil {
		d, lost = l.fleet.link(l.number)
	}
	wait := func(d time.Duration) error {
		if d <= 0 {
			return nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return errors.Join(errLost, ctx.Err())
		}
	}
	if err := wait(d / 2); err != nil {
		return nil, err
	}
	if lost != nil {
		return nil, lost
	}
	replies, err := l.fleet.store.Exchange(ctx, keys, reports)
	if err := wait(d - d/2); err != nil {
		return nil, err
	}
	return replies, err
}

type silent struct{}

func (silent) Connected(int, int, error)    {}
func (silent) Changed(string, health.Reply) {}
func (silent) Foreign(string, string)       {}
