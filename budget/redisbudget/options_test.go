package redisbudget_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/redis/go-redis/v9"
)

func TestOptionMistakes(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, tt := range []struct {
		option redisbudget.Option
		want   string // "" if it is right
	}{
		{redisbudget.WithPrefix(""), `WithPrefix("")`},
		{redisbudget.WithPrefix("a{b}"), `WithPrefix("a{b}")`},
		{redisbudget.WithPrefix("a b"), `WithPrefix("a b")`},
		{redisbudget.WithPrefix(strings.Repeat("x", 65)), "WithPrefix"},
		{redisbudget.WithPrefix("team-1:budget"), ""},
		{redisbudget.WithShards(0), "WithShards(0)"},
		{redisbudget.WithShards(-1), "WithShards(-1)"},
		{redisbudget.WithShards(1025), "WithShards(1025)"},
		{redisbudget.WithShards(1024), ""},
		{redisbudget.WithInterval(0, time.Second), "WithInterval(0s, 1s)"},
		{redisbudget.WithInterval(2*time.Second, time.Second), "WithInterval(2s, 1s)"},
		{redisbudget.WithInterval(time.Second, time.Hour), "WithInterval(1s, 1h0m0s)"},
		{redisbudget.WithInterval(time.Second, time.Second), ""},
		{redisbudget.WithMaxSyncRate(0), "WithMaxSyncRate(0)"},
		{redisbudget.WithMaxSyncRate(math.NaN()), "WithMaxSyncRate(NaN)"},
		{redisbudget.WithMaxSyncRate(math.Inf(1)), "WithMaxSyncRate(+Inf)"},
		{redisbudget.WithMaxSyncRate(100), ""},
		{redisbudget.WithObserver(redisbudget.Log(nil)), ""},
		{nil, ""},
	} {
		f, err := redisbudget.New(client, tt.option)
		if f != nil {
			f.Close(t.Context())
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("want %q, got %v", tt.want, err)
		}
	}
	_, err := redisbudget.New(nil, redisbudget.WithShards(0), redisbudget.WithPrefix(""))
	for _, want := range []string{"client is nil", "WithShards(0)", `WithPrefix("")`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// Nobody answers at the address: New succeeds all the same, and so does every
// request on the ratio of its own.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	f, err := redisbudget.New(client)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(t.Context())
	for _, tt := range []struct {
		name   string
		policy budget.Policy
		want   string
	}{
		{"", budget.Policy{Ratio: 0.1}, "want a name"},
		{strings.Repeat("x", 257), budget.Policy{Ratio: 0.1}, "257 bytes"},
		{"api", budget.Policy{}, "Policy.Ratio 0"},
		{"api", budget.Policy{Ratio: math.NaN(), Hold: -1}, "Policy.Hold"},
		{"api", budget.Default(), "Policy.Proportional true: want false in a fleet"},
	} {
		if _, err := f.Budget(tt.name, tt.policy); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.10q, %+v: error %v lacks %q", tt.name, tt.policy, err, tt.want)
		}
	}
	if _, err := f.PerService(budget.Default(), 10); err == nil || !strings.Contains(err.Error(), "Policy.Proportional") {
		t.Errorf("PerService: error %v lacks Policy.Proportional", err)
	}
	b, err := f.Budget(`a name with {braces}, a : and an é`, budget.Policy{Ratio: 0.25, MinPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	granted := 0
	for range 400 {
		b.Deposit()
		if b.Withdraw() {
			granted++
		}
	}
	if granted != 100 {
		t.Errorf("%d retries for 400 requests, want 100", granted)
	}
	if _, err := f.Pause(t.Context(), b.Name()); err == nil {
		t.Error("Pause without Redis says nothing")
	}
	if _, err := f.Pause(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "want a name") {
		t.Errorf("Pause of no name: %v", err)
	}
	if s := f.Stats("no such"); s != (redisbudget.Stats{}) {
		t.Errorf("Stats of no budget: %+v", s)
	}
}
