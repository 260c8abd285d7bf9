package redisbudget

import (
	"fmt"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/redis/go-redis/v9"
)

// What a Shared adds to the budget of package fleet, where BenchmarkHotPath
// measures that, is nothing.
func BenchmarkHotPath(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	f, err := New(client)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close(b.Context())
	of, err := f.PerService(budget.Policy{Ratio: 0.1}, 10)
	if err != nil {
		b.Fatal(err)
	}
	busy, empty := of("busy"), of("empty")
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"Deposit by interface", func() { busy.Deposit() }},
		{"Withdraw denied", func() { empty.Withdraw() }},
		{"PerService lookup and Deposit", func() { of("busy").Deposit() }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.f()
				}
			})
		})
	}
}

// What an exchange costs Redis is in the figures redis-us/call and
// redis-us/budget, as Redis itself has measured it.
func BenchmarkScript(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: startRedis(b).addr})
	defer client.Close()
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(n, " budgets"), func(b *testing.B) {
			x := &fleet.Exchange{}
			for i := range n {
				x.Keys = append(x.Keys, fmt.Sprint("p:{p:0}:", i))
				x.Asks = append(x.Asks, fleet.Ask{Ratio: 0.1, Floor: 10, Stock: 1, Give: 1e5, Want: 2, Requests: 20, Present: 0.2, Draw: 0.5})
			}
			s := store{client: client}
			must(s.Settle(b.Context(), x))
			must(client.ConfigResetStat(b.Context()).Result())
			b.ReportAllocs()
			for b.Loop() {
				must(s.Settle(b.Context(), x))
			}
			info := client.Info(b.Context(), "commandstats").Val()
			var calls, micros int64
			for line := range strings.Lines(info) {
				if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:"); ok {
					fmt.Sscanf(rest, "calls=%d,usec=%d", &calls, &micros)
				}
			}
			each := float64(micros) / float64(calls)
			b.ReportMetric(each, "redis-us/call")
			b.ReportMetric(each/float64(n), "redis-us/budget")
			b.ReportMetric(float64(client.MemoryUsage(b.Context(), x.Keys[0]).Val()), "redis-B/budget")
		})
	}
}
