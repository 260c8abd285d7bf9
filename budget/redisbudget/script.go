package redisbudget

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

//go:embed settle.lua
var settleScript string

var settleSHA = func() string {
	sum := sha1.Sum([]byte(settleScript))
	return hex.EncodeToString(sum[:])
}()

// An executor carries a call to the fleet and brings back an answer for each
// of its keys, or an error.
type executor interface {
	settle(ctx context.Context, c *call) ([]answer, error)
}

// A script is the executor over Redis.
type script struct{ client redis.UniversalClient }

// settle runs the script, and sends it to a server that does not have it yet:
// that one has refused before executing anything.
func (s script) settle(ctx context.Context, c *call) ([]answer, error) {
	reply, err := s.run(ctx, c, "evalsha", settleSHA)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		c.scriptSent = true
		reply, err = s.run(ctx, c, "eval", settleScript)
	}
	if err != nil {
		s.reload(ctx)
		return nil, err
	}
	return parseReply(reply, len(c.keys))
}

func (s script) run(ctx context.Context, c *call, verb, body string) (any, error) {
	args := make([]any, 0, 3+2*len(c.keys))
	args = append(args, verb, body, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	for _, a := range c.asks {
		args = append(args, a.pack())
	}
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	var sent redis.Cmder = once{cmd}
	if c.safe {
		sent = cmd
	}
	if err := s.client.Process(ctx, sent); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// reload has a cluster client ask who its masters are. By itself it does so
// when it is redirected, but not when a master is gone.
func (s script) reload(ctx context.Context) {
	if c, ok := s.client.(interface{ ReloadState(context.Context) }); ok {
		c.ReloadState(ctx)
	}
}

// once is a command that the client must not repeat. If a reply is lost it
// would otherwise send the command again, up to four times in all, and credit
// would be handed over as often.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }
