package redisstore_test

import (
	"context"
	"flag"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// quiet keeps the client's own log, a line for each failed dial, out of the tests.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	// These tests wait for servers nearly all of their time.
	flag.Parse()
	flag.Set("test.parallel", "16")
	redis.SetLogger(quiet{})
	zerolog.SetGlobalLevel(zerolog.Disabled)
	// A pool that could not dial tries again a second later, to find that it was closed.
	// A link of toxiproxy that is cut while it passes data on waits for ever.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"))
}
