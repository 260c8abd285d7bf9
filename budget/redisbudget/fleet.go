package redisbudget

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/redis/go-redis/v9"
)

// ErrClosed is in the error of a Fleet that was closed.
var ErrClosed = fleet.ErrClosed

// A Fleet is this process's membership in a fleet that shares retry budgets.
// Make one per process with [New] and close it at the end.
type Fleet struct{ fleet *fleet.Fleet }

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
	shards := c.shardsFor(client)
	if single, ok := client.(*redis.Client); ok {
		// Most clients do not look at the deadline of a context while they
		// read. This shares the connections.
		client = single.WithTimeout(fleet.AnswerIn)
	}
	limits := fleet.Limits{Min: c.min, Max: c.max, Rate: c.rate}
	return &Fleet{fleet.New(store{c.prefix, client}, shards, limits, c.observers)}, nil
}

// Budget returns the budget of that name, which all processes share that ask
// for it under the same prefix; they should do so with the same policy. Keep
// what it returns: to look it up costs more than to use it. A name has 1 to
// 256 bytes. A second call with another policy is an error.
func (f *Fleet) Budget(name string, p budget.Policy) (*Shared, error) {
	b, err := f.fleet.Budget(name, p)
	if err != nil {
		return nil, fmt.Errorf("redisbudget: Budget(%.32q): %w", name, err)
	}
	return (*Shared)(b), nil
}

// PerService returns a func that gives each service, or tenant, a budget of
// its own that the fleet shares. A service for which [Fleet.Budget] made one
// gets that, whatever its policy is.
//
// It keeps at most maxServices of them. Those that were not used for ten
// seconds have handed their credit back and make room for others. A service for
// which there is no room, or whose name has no length that [Fleet.Budget]
// takes, shares one budget with all such in the fleet, under the name
// service.Others. So a flood of names costs neither memory nor another's
// credit.
//
// The error names every field of the policy that is wrong, and a maxServices
// below 1.
func (f *Fleet) PerService(p budget.Policy, maxServices int) (func(service string) budget.Budget, error) {
	of, err := f.fleet.PerService(p, maxServices)
	if err != nil {
		return nil, fmt.Errorf("redisbudget: PerService: %w", err)
	}
	return func(service string) budget.Budget { return (*Shared)(of(service)) }, nil
}

// Stats reads the budget of that name. It is zero if there is none.
func (f *Fleet) Stats(name string) Stats { return f.fleet.Stats(name) }

// All returns the budgets of this process with their names, in their order.
func (f *Fleet) All() iter.Seq2[string, Stats] { return f.fleet.All() }

// Pause stops all retries that the budget of that name pays for, in the whole
// fleet, until [Fleet.Resume]. Each process follows within one exchange: one
// whose calls fail within about a second, one that is quiet within the max of
// [WithInterval]. The name need not be one of a budget of this process. If it
// returns an error, nothing may have changed; it is safe to call again. The
// newest of several calls wins. A Redis that loses its memory is told again by
// the processes that know.
func (f *Fleet) Pause(ctx context.Context, name string) error {
	if err := f.fleet.Turn(ctx, name, true); err != nil {
		return fmt.Errorf("redisbudget: Pause(%.32q): %w", name, err)
	}
	return nil
}

// Resume ends a [Fleet.Pause].
func (f *Fleet) Resume(ctx context.Context, name string) error {
	if err := f.fleet.Turn(ctx, name, false); err != nil {
		return fmt.Errorf("redisbudget: Resume(%.32q): %w", name, err)
	}
	return nil
}

// Close leaves the fleet: it hands the credit of this process back, as far as
// ctx allows, and ends what the Fleet started. It does not close the client.
// Its budgets remain usable and run on their own ratio. An error says that
// credit was lost, which is all that happens if Close is not called.
func (f *Fleet) Close(ctx context.Context) error {
	if err := f.fleet.Close(ctx); err != nil {
		return fmt.Errorf("redisbudget: Close: %w", err)
	}
	return nil
}
