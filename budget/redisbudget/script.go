package redisbudget

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/datapunk/evenkeel/budget/redisbudget/internal/layout"
	"github.com/redis/go-redis/v9"
)

//go:embed settle.lua
var settleScript string

var settleSHA = func() string {
	sum := sha1.Sum([]byte(settleScript))
	return hex.EncodeToString(sum[:])
}()

// A store is the fleet.Store in Redis.
type store struct {
	prefix string
	client redis.UniversalClient
}

// Place returns the key of a budget and its shard, by its name.
func (s store) Place(name string, shards int) (key string, shard int) {
	return layout.Key(s.prefix, shards, name)
}

// Settle runs the script, and sends it to a server that does not have it yet:
// that one has refused before executing anything.
func (s store) Settle(ctx context.Context, x *fleet.Exchange) ([]fleet.Answer, error) {
	reply, err := s.run(ctx, x, "evalsha", settleSHA)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		x.Resent = true
		reply, err = s.run(ctx, x, "eval", settleScript)
	}
	if err != nil {
		s.reload(ctx)
		return nil, err
	}
	return parseReply(reply, len(x.Keys))
}

func (s store) run(ctx context.Context, x *fleet.Exchange, verb, body string) (any, error) {
	args := make([]any, 0, 3+2*len(x.Keys))
	args = append(args, verb, body, len(x.Keys))
	for _, k := range x.Keys {
		args = append(args, k)
	}
	for _, a := range x.Asks {
		args = append(args, pack(a))
	}
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	var sent redis.Cmder = once{cmd}
	if x.Safe {
		sent = cmd
	}
	if err := s.client.Process(ctx, sent); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// reload has a cluster client ask who its masters are. By itself it does so
// when it is redirected, but not when a master is gone.
func (s store) reload(ctx context.Context) {
	if c, ok := s.client.(interface{ ReloadState(context.Context) }); ok {
		c.ReloadState(ctx)
	}
}

// once is a command that the client must not repeat. If a reply is lost it
// would otherwise send the command again, up to four times in all, and credit
// would be handed over as often.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }
