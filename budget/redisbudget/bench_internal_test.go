package redisbudget

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/budget"
	"github.com/redis/go-redis/v9"
)

// The yardstick is one atomic add: on one core a deposit should cost at most
// two of them and a withdrawal five, while the fleet is at work behind them.
func BenchmarkHotPath(b *testing.B) {
	mini := miniredis.RunT(b)
	client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	defer client.Close()
	f, err := New(client)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close(b.Context())
	p := budget.Policy{Ratio: 0.1}
	busy, full, empty := mustBudget(b, f, "busy", p), mustBudget(b, f, "full", p), mustBudget(b, f, "empty", p)
	full.account.Bring(1 << 61)
	of := mustPerService(b, f, p, 10)
	var n atomic.Int64
	var iface budget.Budget = busy
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"atomic add", func() { n.Add(1) }},
		{"Deposit", busy.Deposit},
		{"Deposit by interface", func() { iface.Deposit() }},
		{"Withdraw granted", func() {
			if !full.Withdraw() {
				full.account.Bring(1 << 61)
			}
		}},
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

// What a round costs the process, by the number of budgets it looks at.
func BenchmarkRound(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n, " budgets"), func(b *testing.B) {
			s := newSyncer(limits{defaultMin, defaultMax, defaultRate}, 1, rand.New(rand.NewPCG(1, 1)))
			for i := range n {
				s.join(newShared(fmt.Sprint(i), fmt.Sprint(i), 0, budget.Policy{Ratio: 0.1}.Filled(), s.wake))
			}
			var now time.Duration
			m := newModel(func() float64 { return float64(now.Microseconds()) })
			b.ReportAllocs()
			for b.Loop() {
				now += defaultMin
				for _, c := range s.begin(now) {
					answers, _ := m.settle(b.Context(), c)
					s.end(c, now, answers, nil)
				}
			}
		})
	}
}

// What an exchange costs Redis is in the figures redis-us/call and
// redis-us/budget, as Redis itself has measured it.
func BenchmarkScript(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: startRedis(b).addr})
	defer client.Close()
	for _, n := range []int{1, 8, maxKeys} {
		b.Run(fmt.Sprint(n, " budgets"), func(b *testing.B) {
			c := &call{}
			for i := range n {
				c.keys = append(c.keys, fmt.Sprint("p:{p:0}:", i))
				c.asks = append(c.asks, ask{ratio: 0.1, floor: 10, stock: 1, give: 1e5, want: 2, requests: 20, present: 0.2, draw: 0.5})
			}
			x := script{client}
			must(x.settle(b.Context(), c))
			must(client.ConfigResetStat(b.Context()).Result())
			b.ReportAllocs()
			for b.Loop() {
				must(x.settle(b.Context(), c))
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
			b.ReportMetric(float64(client.MemoryUsage(b.Context(), c.keys[0]).Val()), "redis-B/budget")
		})
	}
}
