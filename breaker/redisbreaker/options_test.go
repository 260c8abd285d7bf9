package redisbreaker_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker/redisbreaker"
	"github.com/redis/go-redis/v9"
)

// A wrong option is an error that names it, and all of them are joined.
func TestOptions(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for want, opts := range map[string][]redisbreaker.Option{
		`WithPrefix("")`:          {redisbreaker.WithPrefix("")},
		`WithPrefix("a{b}")`:      {redisbreaker.WithPrefix("a{b}")},
		`WithPrefix("xxxxxxxxxx`:  {redisbreaker.WithPrefix(strings.Repeat("x", 65))},
		"WithShards(0)":           {redisbreaker.WithShards(0)},
		"WithShards(1025)":        {redisbreaker.WithShards(1025)},
		"WithInterval(99ms)":      {redisbreaker.WithInterval(99 * time.Millisecond)},
		"WithInterval(1m0.001s)":  {redisbreaker.WithInterval(time.Minute + time.Millisecond)},
		"WithMaxServices(0)":      {redisbreaker.WithMaxServices(0)},
		"WithRareBelow(0)":        {redisbreaker.WithRareBelow(0)},
		"WithRareBelow(NaN)":      {redisbreaker.WithRareBelow(math.NaN())},
		"WithRareBelow(-1)":       {redisbreaker.WithShards(0), redisbreaker.WithRareBelow(-1)},
		"WithShards(-1): want 1 ": {redisbreaker.WithShards(-1), redisbreaker.WithRareBelow(-1)},
	} {
		_, err := redisbreaker.New(client, opts...)
		if err == nil || !strings.Contains(err.Error(), "redisbreaker: "+want) {
			t.Errorf("got %v, want an error with %s", err, want)
		}
	}
	if _, err := redisbreaker.New(nil, redisbreaker.WithShards(0)); err == nil || !strings.Contains(err.Error(), "client is nil") || !strings.Contains(err.Error(), "WithShards") {
		t.Errorf("got %v, want an error about client and option", err)
	}
	f, err := redisbreaker.New(client, nil, redisbreaker.WithShards(1), redisbreaker.WithInterval(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(context.Background())
	for _, d := range []time.Duration{0, -1, 24*time.Hour + 1} {
		if err := f.Isolate(t.Context(), "users.test", d); err == nil || !strings.Contains(err.Error(), "Isolate(\"users.test\", ") {
			t.Errorf("Isolate for %v: got %v, want an error that names it", d, err)
		}
	}
	if err := f.Isolate(t.Context(), "users.test", time.Minute); err == nil {
		t.Error("no error of Isolate without a Redis")
	}
	if s := f.Stats("nobody.test"); s != (redisbreaker.Stats{}) {
		t.Errorf("%+v of a service that is not called, want zero", s)
	}
}
