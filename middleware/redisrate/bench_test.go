package redisrate_test

import (
	"context"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
)

// prompt is a Redis that grants everything at once: what is left is our part.
type prompt struct{ world }

func (*prompt) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	reply := any([]any{int64(1), int64(time.Millisecond), int64(0)})
	return func(_ context.Context, cmd redis.Cmder) error {
		cmd.(interface{ SetVal(any) }).SetVal(reply)
		return nil
	}
}

func BenchmarkTake(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	client.AddHook(&prompt{})
	l, err := redisrate.New(client, middleware.Quota{Requests: 1_000_000, Per: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !l.Take(b.Context(), "a key of an ordinary length").OK {
			b.Fatal("refused")
		}
	}
}
