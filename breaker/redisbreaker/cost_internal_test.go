package redisbreaker

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/redis/go-redis/v9"
)

// cost is how often the script ran on a server since its statistics were reset, and for
// how many microseconds of its time.
func cost(t testing.TB, client *redis.Client) (calls, micros float64) {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:"); ok {
			fmt.Sscanf(rest, "calls=%f,usec=%f", &calls, &micros)
		}
	}
	return calls, micros
}

// plainScript does what no script that keeps a value can do without.
const plainScript = `local t = redis.call('TIME')
local v = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', 600000)
return v or 0`

// A report takes about 12 µs of Redis, less than three times of what a script takes that
// only reads the clock, gets a value and sets it. It is hardly more with bad news. Both
// are the best of many batches, since a busy machine interrupts the others.
func TestCost(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: startRedis(t).addr})
	defer client.Close()
	ctx, s, id := t.Context(), store{client: client}, 0.0
	best := func(run func() error) float64 {
		least := math.Inf(1)
		for range 20 {
			client.ConfigResetStat(ctx)
			for range 200 {
				if err := run(); err != nil {
					t.Fatal(err)
				}
			}
			calls, micros := cost(t, client)
			least = min(least, micros/calls)
		}
		return least
	}
	sha, err := client.ScriptLoad(ctx, plainScript).Result()
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x", 200)
	unit := best(func() error { return client.EvalSha(ctx, sha, []string{"plain"}, value).Err() })
	for _, tt := range []struct {
		news   string
		report health.Report
		most   float64
	}{
		{"good", health.Report{Present: 1, Calls: 3, Fast: 3, Passed: 1e5, Asked: 3, OK: 3}, 3},
		{"bad", health.Report{Present: 1, Calls: 3, Late: 2, LateAge: 1e6, Passed: -1, Asked: 3, Failed: 3}, 4},
	} {
		key := "p:v1:{p:0}:" + tt.news
		got := math.Inf(1)
		for range 10 {
			got = min(got, best(func() error {
				id++
				tt.report.ID = id
				_, err := s.Exchange(ctx, []string{key}, []health.Report{tt.report})
				return err
			}))
			if got <= tt.most*unit {
				break
			}
		}
		t.Logf("%.1f µs of Redis for a report of %s news, %.1f for the plain script", got, tt.news, unit)
		if got > tt.most*unit {
			t.Errorf("%.1f µs of Redis for a report of %s news, want at most %v times %.1f", got, tt.news, tt.most, unit)
		}
		if size := client.StrLen(ctx, key).Val(); size == 0 || size > 250 {
			t.Errorf("%d bytes for a service, want at most 250", size)
		}
	}
}
