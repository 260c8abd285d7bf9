package redisbudget

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/redis/go-redis/v9"
)

// ErrClosed is in the error of a Fleet that was closed.
var ErrClosed = fleet.ErrClosed

// ErrNoBudget is in the error of [Fleet.Pause] and [Fleet.Resume] if no process has
// used a budget of that name for ten minutes, as after a typing error, or if the
// processes have another prefix or number of shards.
var ErrNoBudget = fleet.ErrNoBudget

// A Fleet is this process's membership in a fleet that shares retry budgets.
// Make one per process with [New] and close it at the end.
type Fleet struct{ fleet *fleet.Fleet }

// New joins the fleet that shares client's Redis. It does not wait for Redis: until
// Redis answers, and whenever it does not, each budget runs on the ratio of its own
// requests. Close the client after the Fleet. The error names each wrong option.
func New(client redis.UniversalClient, opts ...Option) (*Fleet, error) {
	c := defaults()
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	err := c.validate()
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
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

// Budget returns the budget of that name. All processes with the same prefix share
// it; they should use the same policy. Keep the result: the lookup costs more than
// its use. A name has 1 to 256 bytes and is not service.Others; tenant~acme is that of
// a name of a kind, see [Fleet.Per]. A second call with another policy is an error.
func (f *Fleet) Budget(name string, p budget.Policy) (*Shared, error) {
	b, err := f.fleet.Budget(name, p)
	if err != nil {
		return nil, fmt.Errorf("redisbudget: Budget(%.32q): %w", name, err)
	}
	return (*Shared)(b), nil
}

// PerService returns a func that gives each service a budget of its own that the fleet
// shares. If [Fleet.Budget] made a budget of that name, the service gets that, whatever
// its policy.
//
// It keeps at most maxServices budgets, at least 1. A budget that was not used for
// ten seconds makes room for others. It hands its credit back, except for one token where
// the fleet has plenty. Services for which
// there is no room, or whose name [Fleet.Budget] does not accept, share one budget in
// the whole fleet, under the name service.Others. So a flood of names uses neither
// memory nor the credit of others.
//
// The error names every field of the policy that is wrong, and a maxServices
// below 1. A second call returns the same budgets; it is an error if it wants another
// policy or number.
func (f *Fleet) PerService(p budget.Policy, maxServices int) (func(service string) budget.Budget, error) {
	of, err := f.fleet.Per("", p, maxServices)
	if err != nil {
		return nil, fmt.Errorf("redisbudget: PerService(maxServices %d): %w", maxServices, err)
	}
	return func(service string) budget.Budget { return (*Shared)(of(service)) }, nil
}

// Per is [Fleet.PerService] for names of another kind, such as tenants: a tenant and a
// service of the same name have different budgets. The budget of the tenant acme has
// the name tenant~acme for [Fleet.Stats], [Fleet.Pause] and metrics. All processes need
// the same kind: 1 to 64 bytes without ~.
func (f *Fleet) Per(kind string, p budget.Policy, max int) (func(name string) budget.Budget, error) {
	err := error(nil)
	if kind == "" {
		err = errors.New("want a kind, or PerService")
	}
	of, ferr := f.fleet.Per(kind, p, max)
	if err = errors.Join(err, ferr); err != nil {
		return nil, fmt.Errorf("redisbudget: Per(%.80q, max %d): %w", kind, max, err)
	}
	return func(name string) budget.Budget { return (*Shared)(of(name)) }, nil
}

// Stats returns a snapshot of the budget of that name, or zero if this process has
// none.
func (f *Fleet) Stats(name string) Stats { return f.fleet.Stats(name) }

// All returns the names of the budgets of this process, sorted, with a snapshot of
// each.
func (f *Fleet) All() iter.Seq2[string, Stats] { return f.fleet.All() }

// Pause stops all retries that the budget of that name pays for, in the whole fleet,
// until [Fleet.Resume]. It returns about how many processes share the budget now. This
// process follows at once, whatever becomes of Redis, the others with their next
// exchange: within about a second if their calls fail, and within the max of
// [WithInterval] if not.
//
// After an error the others may follow or not: it is safe to call again, and if this
// process has the budget it tells them as soon as Redis answers. This process need not
// have the budget, but some process must, or the error is [ErrNoBudget].
//
// The newest of several calls wins in all processes. Each of them remembers it: if Redis
// loses its memory, they tell it again.
func (f *Fleet) Pause(ctx context.Context, name string) (instances int, err error) {
	n, err := f.fleet.Turn(ctx, name, true)
	if err != nil {
		return 0, fmt.Errorf("redisbudget: Pause(%.80q): %w", name, err)
	}
	return int(math.Round(n)), nil
}

// Resume ends a [Fleet.Pause], in the same way.
func (f *Fleet) Resume(ctx context.Context, name string) (instances int, err error) {
	n, err := f.fleet.Turn(ctx, name, false)
	if err != nil {
		return 0, fmt.Errorf("redisbudget: Resume(%.80q): %w", name, err)
	}
	return int(math.Round(n)), nil
}

// Close leaves the fleet. It hands the credit of this process back, until ctx is
// done, and ends the goroutines of the Fleet. It does not close the client. The
// budgets remain usable and run on their own ratio. An error means that credit was
// lost. Without Close all credit of this process is lost, and nothing else. An observer
// that calls Close needs a ctx that ends: Close waits for what called the observer.
func (f *Fleet) Close(ctx context.Context) error {
	if err := f.fleet.Close(ctx); err != nil {
		return fmt.Errorf("redisbudget: Close: %w", err)
	}
	return nil
}
