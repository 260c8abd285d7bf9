package redisbreaker

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"

	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/redis/go-redis/v9"
)

//go:embed report.lua
var reportScript string

var reportSHA = func() string {
	sum := sha1.Sum([]byte(reportScript))
	return hex.EncodeToString(sum[:])
}()

// A store is the health.Store in Redis.
type store struct {
	prefix string
	shards int
	client redis.UniversalClient
}

// Place returns the key of a service and its shard.
func (s store) Place(name string) (key string, shard int) {
	return keyOf(s.prefix, s.shards, escape(name))
}

// Exchange runs the script, and sends it to a server that does not have it yet. A report
// that is added twice does no harm, so the client may repeat it.
func (s store) Exchange(ctx context.Context, keys []string, reports []health.Report) ([]health.Reply, error) {
	reply, err := s.run(ctx, keys, reports, "evalsha", reportSHA)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		reply, err = s.run(ctx, keys, reports, "eval", reportScript)
	}
	if err != nil {
		s.reload(ctx)
		return nil, err
	}
	return parseReply(reply, len(keys))
}

func (s store) run(ctx context.Context, keys []string, reports []health.Report, verb, body string) (any, error) {
	args := make([]any, 0, 3+2*len(keys))
	args = append(args, verb, body, len(keys))
	for _, k := range keys {
		args = append(args, k)
	}
	for _, r := range reports {
		args = append(args, pack(r))
	}
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	if err := s.client.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// reload has a cluster client ask who its masters are. By itself it does so when it is
// redirected, but not when a master is gone.
func (s store) reload(ctx context.Context) {
	if c, ok := s.client.(interface{ ReloadState(context.Context) }); ok {
		c.ReloadState(ctx)
	}
}
