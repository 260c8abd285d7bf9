package redisbreaker_test

import (
	"context"
	"flag"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// quiet keeps the client's own log, a line for each failed dial, out of the
// tests.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	// Tests on real servers wait nearly all of their time, so more of them
	// run at once than there are cores.
	flag.Parse()
	flag.Set("test.parallel", "32")
	redis.SetLogger(quiet{})
	zerolog.SetGlobalLevel(zerolog.Disabled)
	// A pool that could not dial tries again a second later, to find that it
	// was closed.
	// A link of toxiproxy that is cut while it passes data on waits for ever.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"))
}
