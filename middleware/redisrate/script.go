package redisrate

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed take.lua
var takeScript string

// takeSHA is what the server knows the script by.
var takeSHA = func() string {
	sum := sha1.Sum([]byte(takeScript))
	return hex.EncodeToString(sum[:])
}()

// A verdict is what Redis says to a request.
type verdict struct {
	ok      bool
	reset   time.Duration // until the quota is whole
	retryIn time.Duration // until the next request is granted
}

// run takes one request and says that owed ones were granted before. A server
// that does not have the script has refused before executing anything.
func (l *Limiter) run(ctx context.Context, name string, owed int) (verdict, error) {
	reply, err := l.send(ctx, "evalsha", l.sha, name, owed)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		reply, err = l.send(ctx, "eval", takeScript, name, owed)
	}
	if err != nil {
		return verdict{}, err
	}
	if len(reply) != 3 {
		return verdict{}, fmt.Errorf("%d values from the script, want 3", len(reply))
	}
	return verdict{
		ok:      reply[0] == 1,
		reset:   time.Duration(reply[1]),
		retryIn: time.Duration(reply[2]),
	}, nil
}

func (l *Limiter) send(ctx context.Context, verb string, script any, name string, owed int) ([]int64, error) {
	cmd := redis.NewCmd(ctx, verb, script, 1, l.prefix+name, l.interval, l.burst, l.over, owed)
	cmd.SetFirstKeyPos(3)
	if err := l.client.Process(ctx, once{cmd}); err != nil {
		return nil, err
	}
	return cmd.Int64Slice()
}

// once is a command that the client must not repeat. If the reply is lost it
// would otherwise send the command again, up to four times in all, and each
// takes a request from the quota.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// notRun reports whether the script surely took nothing: the server said so,
// or there was no connection to it.
func notRun(err error) bool {
	var said redis.Error
	var op *net.OpError
	return errors.As(err, &said) || errors.As(err, &op) && op.Op == "dial" ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed)
}
