package peers

import (
	"flag"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

var redisAddr = flag.String("redis", "", "the Redis of the fleet budget; without one it is in this process, which slows down who asks it each time")

// The cost per request of a budget that a fleet shares, of budgets that are not
// shared, and of one that asks Redis each time.
func BenchmarkFleetBudget(b *testing.B) {
	type failsafe interface {
		RecordExecution()
		ReleaseExecution()
		TryAcquirePermit() bool
		ReleasePermit()
	}
	addr := *redisAddr
	if addr == "" {
		addr = miniredis.RunT(b).Addr()
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	fleet := must(redisbudget.New(client))
	defer fleet.Close(b.Context())
	earning := must(fleet.Budget("earning", budget.Policy{Ratio: 0.1}))
	// It earns more with each deposit than a withdrawal takes.
	rich := must(fleet.Budget("rich", budget.Policy{Ratio: 100, MinPerSecond: 1e6}))
	empty := must(fleet.Budget("empty", budget.Policy{Ratio: 0.1}))
	theirs := failsafebudget.New().(failsafe)
	limiter := rate.NewLimiter(rate.Limit(1e9), 1e9)
	redisLimiter := redis_rate.NewLimiter(client)
	perSecond := redis_rate.PerSecond(1_000_000)
	var n atomic.Int64
	for _, bm := range []struct {
		name string
		op   func()
	}{
		{"atomic add", func() { n.Add(1) }},
		{"request/evenkeel", earning.Deposit},
		{"request/failsafe-go", func() { theirs.RecordExecution(); theirs.ReleaseExecution() }},
		{"retry/evenkeel granted", func() { rich.Deposit(); rich.Withdraw() }},
		{"retry/evenkeel denied", func() { empty.Withdraw() }},
		{"retry/failsafe-go", func() {
			if theirs.TryAcquirePermit() {
				theirs.ReleasePermit()
			}
		}},
		{"retry/x-time-rate", func() { limiter.Allow() }},
		{"retry/redis_rate", func() {
			if _, err := redisLimiter.Allow(b.Context(), "retries", perSecond); err != nil {
				b.Error(err)
			}
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.op()
				}
			})
		})
	}
}
