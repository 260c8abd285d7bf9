package redisbudget

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/redis/go-redis/v9"
)

// The script and State.Settle come to the same numbers on random exchanges, with
// clocks that jump and keys that vanish. On a server with the struct library
// the clock is the server's; on miniredis it is the test's.
func TestScriptEqualsGo(t *testing.T) {
	t.Parallel()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		mini := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
		defer client.Close()
		micros := 1.7e15
		scriptEqualsGo(t, client, steps(500, 5000), func(r *rand.Rand) float64 {
			switch r.IntN(20) {
			case 0:
				micros += float64(r.IntN(20e6))
			case 1:
				micros -= float64(r.IntN(3e6))
			case 2, 3:
				micros -= float64(r.IntN(2000))
			default:
				micros += float64(r.IntN(300e3))
			}
			mini.SetTime(time.UnixMicro(int64(micros)))
			return micros
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: startRedis(t).addr})
		defer client.Close()
		// The script's own clock, where a test cannot set it, is read back
		// from the state.
		scriptEqualsGo(t, client, steps(2000, 20_000), nil)
	})
}

func scriptEqualsGo(t *testing.T, client *redis.Client, steps int, tick func(*rand.Rand) float64) {
	ctx, r := t.Context(), rand.New(rand.NewPCG(7, 7))
	var now float64
	kept := map[string]fleet.State{}
	keys := []string{"p:{p:0}:a", "p:{p:0}:b"}
	for n := range steps {
		if tick != nil {
			now = tick(r)
		}
		if r.IntN(100) == 0 {
			k := keys[r.IntN(2)]
			client.Del(ctx, k)
			delete(kept, k)
		}
		if tick == nil && r.IntN(50) == 0 { // as if the clock had jumped
			shiftTime(t, client, kept, keys[r.IntN(2)], float64(r.IntN(20e6)-10e6))
		}
		x := &fleet.Exchange{Keys: keys, Asks: []fleet.Ask{randomAsk(r), randomAsk(r)}}
		got, err := store{client: client}.Settle(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		if tick == nil {
			now = clockOf(t, client, keys)
		}
		for i, k := range keys {
			s, known := kept[k]
			if a := x.Asks[i]; !known && a.Turn != 0 && a.Stock == 0 {
				if want := (fleet.Answer{Missing: true}); got[i] != want {
					t.Fatalf("step %d: %+v\n got %+v\nwant %+v", n, a, got[i], want)
				}
				continue
			}
			if !known {
				s.At = now
			}
			want := s.Settle(x.Asks[i], now)
			kept[k] = s
			if got[i] != want {
				t.Fatalf("step %d: %+v\n got %+v\nwant %+v", n, x.Asks[i], got[i], want)
			}
			if got := storedState(t, client, k); got != s {
				t.Fatalf("step %d: stored %+v, want %+v", n, got, s)
			}
			if d, paused := client.PTTL(ctx, k).Val(), s.Switch > 0; tick == nil && n%50 == 0 && paused != (d < 0) {
				t.Fatalf("step %d: a budget with the switch at %v lives %v", n, s.Switch, d)
			}
		}
	}
}

func randomAsk(r *rand.Rand) fleet.Ask {
	some := func(most float64) float64 {
		if r.IntN(3) == 0 {
			return 0
		}
		return most * r.Float64()
	}
	a := fleet.Ask{
		Ratio: some(0.3), Floor: some(20), Stock: some(3), Give: math.Floor(some(5e6)), Want: math.Floor(some(12)),
		Requests: math.Floor(some(200)), Spent: math.Floor(some(20)), Denied: math.Floor(some(50)),
		Present: some(5), Draw: r.Float64(),
	}
	switch r.IntN(40) {
	case 0:
		a.Turn = 1
	case 1:
		a.Turn = -1
	case 2:
		a.Known = some(1e15) - some(1e15)
	}
	return a
}

// storedState reads a budget with the script's own format.
func storedState(t *testing.T, client *redis.Client, key string) fleet.State {
	v, err := client.Get(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != 72 || v[:8] != "evkbdgt1" {
		t.Fatalf("stored %q", v)
	}
	var s fleet.State
	for i, x := range fields(&s) {
		*x = floatAt(v[8:], i)
	}
	return s
}

// fields are those of a budget in the order of the script.
func fields(s *fleet.State) []*float64 {
	return []*float64{&s.Pool, &s.At, &s.Present, &s.Requests, &s.Wants, &s.Spent, &s.Denied, &s.Switch}
}

// shiftTime moves the stored time of a budget, here and there.
func shiftTime(t *testing.T, client *redis.Client, kept map[string]fleet.State, key string, by float64) {
	s, ok := kept[key]
	if !ok {
		return
	}
	s.At += by
	kept[key] = s
	v := "evkbdgt1"
	for _, x := range fields(&s) {
		v += packFloat(*x)
	}
	if err := client.Set(t.Context(), key, v, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
}

// clockOf returns the time at which the script ran: the time that it stored,
// unless that of an earlier call was ahead. A key may be missing.
func clockOf(t *testing.T, client *redis.Client, keys []string) float64 {
	now := math.Inf(1)
	for _, k := range keys {
		if client.Exists(t.Context(), k).Val() == 1 {
			now = min(now, storedState(t, client, k).At)
		}
	}
	return now
}

// A budget under whose key something else lies neither changes that nor harms
// the others in its call.
func TestScriptLeavesForeignValuesAlone(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, client *redis.Client) {
		ctx := t.Context()
		good := "evkbdgt1"
		for range 8 {
			good += packFloat(1)
		}
		texts := map[string]string{
			"text": "hello", "empty": "", "tag only": "evkbdgt1", "other tag": "evkbdgt0" + good[8:],
			"not a number":     "evkbdgt1" + packFloat(math.NaN()) + good[16:],
			"negative":         "evkbdgt1" + packFloat(-1) + good[16:],
			"infinite":         good[:16] + packFloat(math.Inf(1)) + good[24:],
			"absurd":           good[:64] + packFloat(1e300),
			"longer by a byte": good + "!",
		}
		x := &fleet.Exchange{Keys: []string{"{p}:list", "{p}:ours"}, Asks: make([]fleet.Ask, 2)}
		client.RPush(ctx, "{p}:list", "x")
		for name, v := range texts {
			k := "{p}:" + name
			client.Set(ctx, k, v, 0)
			x.Keys, x.Asks = append(x.Keys, k), append(x.Asks, fleet.Ask{})
		}
		for i := range x.Asks {
			x.Asks[i] = fleet.Ask{Floor: 10, Stock: 1, Give: 3e6, Want: 2, Draw: 0.5}
		}
		answers, err := store{client: client}.Settle(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			if ours := x.Keys[i] == "{p}:ours"; a.Foreign == ours || ours && a.Grant != 2 {
				t.Errorf("%s: %+v", x.Keys[i], a)
			}
		}
		for name, v := range texts {
			if got := client.Get(ctx, "{p}:"+name).Val(); got != v {
				t.Errorf("%s: overwritten with %q", name, got)
			}
		}
	})
}

// eachServer runs a test on miniredis and on a real server, if there is one.
func eachServer(t *testing.T, test func(t *testing.T, client *redis.Client)) {
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		defer client.Close()
		test(t, client)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: startRedis(t).addr})
		defer client.Close()
		test(t, client)
	})
}

// Without the pure Lua stand-in for the struct library there would be no
// miniredis; it must agree with the library to the bit.
func TestScriptPacksDoublesExactly(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, client *redis.Client) {
		ctx, r := t.Context(), rand.New(rand.NewPCG(1, 2))
		for n := range 500 {
			x := math.Float64frombits(r.Uint64())
			x = math.Mod(math.Abs(x), 1<<52)
			if n == 0 {
				x = 0
			}
			if !(x == 0 || x > 1e-300) {
				continue
			}
			key := fmt.Sprint("{p}:", n)
			a, err := store{client: client}.Settle(ctx, &fleet.Exchange{Keys: []string{key}, Asks: []fleet.Ask{{Known: -x, Spent: x}}})
			if err != nil {
				t.Fatal(err)
			}
			if a[0].Switch != -x || a[0].Retries != x {
				t.Errorf("%v: came back as %v and %v", x, -a[0].Switch, a[0].Retries)
			}
		}
	})
}

func FuzzParseReply(f *testing.F) {
	good := ""
	for range 8 {
		good += packFloat(3)
	}
	for _, s := range []string{"", "foreign", good, good[:63], good + "x", packFloat(math.NaN()) + good[8:], packFloat(-1) + good[8:], packFloat(0.5) + good[8:]} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		answers, err := parseReply([]any{s}, n)
		if err != nil {
			if answers != nil {
				t.Errorf("answers %+v beside the error %v", answers, err)
			}
			return
		}
		if n != 1 || len(answers) != 1 {
			t.Fatalf("%d answers to %d questions", len(answers), n)
		}
		if g := answers[0].Grant; !(g >= 0 && g < 1<<53 && g == math.Floor(g)) {
			t.Errorf("grant %v", g)
		}
	})
}

func TestParseReplyRefusesOtherShapes(t *testing.T) {
	for _, reply := range []any{nil, "x", int64(1), []any{}, []any{nil}, []any{int64(3)}, []any{[]any{}}, []any{"a", "b"}} {
		if got, err := parseReply(reply, 1); err == nil {
			t.Errorf("%#v: %+v", reply, got)
		}
	}
}
