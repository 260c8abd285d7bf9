package redisbreaker

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/redis/go-redis/v9"
)

// The script and State.Merge come to the same numbers on random reports, with clocks that
// jump, keys that vanish and reports that arrive twice. On a server with the struct
// library the clock is the server's; on miniredis it is the test's.
func TestScriptEqualsGo(t *testing.T) {
	t.Parallel()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		mini := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
		defer client.Close()
		micros := 1.7e15
		scriptEqualsGo(t, client, steps(2000, 10_000), func(r *rand.Rand) float64 {
			switch r.IntN(40) {
			case 0:
				micros += float64(r.IntN(20e6))
			case 1:
				micros -= float64(r.IntN(3e6))
			case 2, 3:
				micros -= float64(r.IntN(2000))
			default:
				micros += float64(r.IntN(200e3))
			}
			mini.SetTime(time.UnixMicro(int64(micros)))
			return micros
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: startRedis(t).addr})
		defer client.Close()
		// The script's own clock, where a test cannot set it, is read back from the state.
		scriptEqualsGo(t, client, steps(10_000, 20_000), nil)
	})
}

func scriptEqualsGo(t *testing.T, client *redis.Client, steps int, tick func(*rand.Rand) float64) {
	ctx, r := t.Context(), rand.New(rand.NewPCG(7, 7))
	var now float64
	kept := map[string]health.State{}
	keys := []string{"p:v1:{p:0}:a", "p:v1:{p:0}:b"}
	var engaged, opened int
	mood := 0
	var reports []health.Report
	for n := range steps {
		if tick != nil {
			now = tick(r)
		}
		if r.IntN(300) == 0 {
			k := keys[r.IntN(2)]
			client.Del(ctx, k)
			delete(kept, k)
		}
		if tick == nil { // as if time had passed, or the clock had jumped
			by := float64(r.IntN(300e3))
			if r.IntN(100) == 0 {
				by = float64(r.IntN(20e6) - 10e6)
			}
			for _, k := range keys {
				shiftTime(t, client, kept, k, -by)
			}
		}
		if r.IntN(60) == 0 && (mood != 2 || r.IntN(3) == 0) { // an outage takes longer to prove
			mood = r.IntN(4)
		}
		if r.IntN(20) > 0 || reports == nil {
			reports = []health.Report{randomReport(r, mood), randomReport(r, mood)}
		}
		got, err := store{client: client}.Exchange(ctx, keys, reports)
		if err != nil {
			t.Fatal(err)
		}
		if tick == nil {
			now = clockOf(t, client, keys)
		}
		for i, k := range keys {
			s, known := kept[k]
			if !known {
				s = health.NewState(now)
			}
			before := s
			want := s.Merge(reports[i], now)
			kept[k] = s
			if got[i] != want {
				t.Fatalf("step %d: %+v\n got %+v\nwant %+v", n, reports[i], got[i], want)
			}
			if got := storedState(t, client, k); !reflect.DeepEqual(got, s) {
				t.Fatalf("step %d: stored %+v\nwant %+v", n, got, s)
			}
			if before.Share == 1 && s.Share < 1 {
				engaged++
			}
			if before.Circuit == 1 && s.Circuit < 1 {
				opened++
			}
			if d := client.PTTL(ctx, k).Val(); tick == nil && n%50 == 0 && (d < 9*time.Minute || want.Left > 600 && d.Seconds() < want.Left-5) {
				t.Fatalf("step %d: a key with %v s of isolation left lives %v", n, want.Left, d)
			}
		}
	}
	// The short run of the race detector meets none of them for certain.
	if least := min(3, steps/600); engaged < least || opened < least {
		t.Errorf("%d overloads and %d outages in %d steps: the reports show too little", engaged, opened, steps)
	}
}

// randomReport is one of a good time, an overload, an outage or a recovery.
func randomReport(r *rand.Rand, mood int) health.Report {
	some := func(most float64) float64 {
		if r.IntN(3) == 0 {
			return 0
		}
		return math.Floor(most * r.Float64())
	}
	x := health.Report{
		ID: float64(r.IntN(12)) * 357913941, Present: 2 * r.Float64(), Calls: some(40), Passed: -1, Asked: some(5),
	}
	switch mood {
	case 0:
		x.Fast, x.Slow, x.Passed, x.OK = some(30), some(5), some(2e6), some(40)
	case 1:
		x.Late, x.LateAge, x.Passed = some(5), some(3e6), -1
		if r.IntN(30) == 0 {
			x.Passed = some(9e6)
		}
	case 2:
		x.Failed = some(40)
		if r.IntN(30) == 0 {
			x.OK = some(2)
		}
	case 3:
		x.Fast, x.Slow, x.Late, x.LateAge, x.OK, x.Failed = some(2), some(6), some(3), some(3e6), some(4), some(4)
	}
	switch r.IntN(60) {
	case 0:
		x.Isolate = some(90_000)
	case 1:
		x.Isolate = -1
	case 2:
		x.IsolatedAt, x.IsolatedUntil = some(3e15), some(3e15)
	}
	return x
}

const stateSize = 19

// storedState reads a service in the script's own format.
func storedState(t *testing.T, client *redis.Client, key string) health.State {
	t.Helper()
	v, err := client.Get(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	if len(v) < 8+8*stateSize || len(v) > 300 || v[:8] != "evkhlth1" {
		t.Fatalf("stored %d bytes, %q", len(v), v)
	}
	var s health.State
	for i, x := range fields(&s) {
		*x = floatAt(v[8:], i)
	}
	witnesses, rest := int(floatAt(v[8:], stateSize-1)), (len(v)-8)/8-stateSize
	for i := range rest {
		w := floatAt(v[8:], stateSize+i)
		if i < witnesses {
			s.Witnesses = append(s.Witnesses, w)
		} else {
			s.Failing = append(s.Failing, w)
		}
	}
	return s
}

// fields are those of a service in the order of the script, before the lists.
func fields(s *health.State) []*float64 {
	return []*float64{
		&s.At, &s.Present, &s.TurnAt, &s.Calls, &s.Run, &s.Passed, &s.Share, &s.Fast, &s.Slow, &s.Late, &s.Steady,
		&s.Asked, &s.Failures, &s.Circuit, &s.Good, &s.Bad, &s.IsolatedAt, &s.IsolatedUntil,
	}
}

// shiftTime moves the stored times of a service, here and there.
func shiftTime(t *testing.T, client *redis.Client, kept map[string]health.State, key string, by float64) {
	s, ok := kept[key]
	if !ok {
		return
	}
	s.At += by
	s.TurnAt += by
	kept[key] = s
	v := "evkhlth1"
	for _, x := range fields(&s) {
		v += packFloat(*x)
	}
	v += packFloat(float64(len(s.Witnesses)))
	for _, w := range append(append([]float64{}, s.Witnesses...), s.Failing...) {
		v += packFloat(w)
	}
	if err := client.Set(t.Context(), key, v, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// clockOf returns the time of the script's last run.
func clockOf(t *testing.T, client *redis.Client, keys []string) float64 {
	return storedState(t, client, keys[0]).At
}

func packFloat(x float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))
}

func floatAt(s string, i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i : 8*i+8])))
}

// What a report costs Redis is in the figures redis-us/call and redis-us/service, as
// Redis itself has measured it.
func BenchmarkScript(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: startRedis(b).addr})
	defer client.Close()
	for _, n := range []int{1, 8, 32} {
		for _, bad := range []bool{false, true} {
			b.Run(fmt.Sprint(n, " services bad ", bad), func(b *testing.B) {
				var keys []string
				var reports []health.Report
				for i := range n {
					r := health.Report{ID: 1, Present: 1, Calls: 3, Fast: 3, Passed: 1e5, Asked: 3, OK: 3}
					if bad {
						r = health.Report{ID: 1, Present: 1, Calls: 3, Late: 2, LateAge: 1e6, Passed: -1, Asked: 3, Failed: 3}
					}
					keys, reports = append(keys, fmt.Sprint("p:v1:{p:0}:", bad, i)), append(reports, r)
				}
				s := store{client: client}
				exchange := func() {
					for i := range reports {
						reports[i].ID++
					}
					if _, err := s.Exchange(b.Context(), keys, reports); err != nil {
						b.Fatal(err)
					}
				}
				exchange()
				if err := client.ConfigResetStat(b.Context()).Err(); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					exchange()
				}
				calls, micros := cost(b, client)
				b.ReportMetric(micros/calls, "redis-us/call")
				b.ReportMetric(micros/calls/float64(n), "redis-us/service")
				b.ReportMetric(float64(client.MemoryUsage(b.Context(), keys[0]).Val()), "redis-B/service")
			})
		}
	}
}
