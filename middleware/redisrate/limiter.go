package redisrate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/redis/go-redis/v9"
)

// maxCalls bounds how many requests may wait for Redis at a time. It is met
// only when Redis hangs; the others do without it.
const maxCalls = 1024

// script takes one request. It returns whether that was granted and, in
// microseconds, the time until the quota is whole and until the next is
// granted.
var script = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1])) or 0
if full < now then full = now end
-- A clock that was set back owes nobody more than a whole quota.
if full > now + burst then full = now + burst end
local after = full + interval
if after - now > burst then
	return {0, full - now, after - now - burst}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, after - now, 0}
`)

// Limiter is a [middleware.Limiter]. It is safe for concurrent use.
type Limiter struct {
	client   redis.UniversalClient
	local    *middleware.Local
	interval time.Duration
	burst    int
	config
	calls chan struct{} // one for each call under way
	epoch time.Time
	away  atomic.Int64 // until when Redis is not asked, ns since the epoch; 0: it answers
}

// New returns a limiter by which each key has the quota q. It does not contact
// Redis. The client stays the caller's, who closes it.
func New(client redis.UniversalClient, q middleware.Quota, opts ...Option) (*Limiter, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	err := c.validate()
	if client == nil {
		err = errors.Join(err, errors.New("redisrate: New: want a client"))
	}
	local, localErr := middleware.NewLocal(q, c.maxKeys)
	if localErr != nil {
		err = errors.Join(err, fmt.Errorf("redisrate: New: %w", localErr))
	} else if q.Per/time.Duration(q.Requests) < time.Microsecond {
		err = errors.Join(err, fmt.Errorf("redisrate: New: %d requests per %v: want at most one per microsecond", q.Requests, q.Per))
	}
	if err != nil {
		return nil, err
	}
	if q.Burst == 0 {
		q.Burst = q.Requests
	}
	return &Limiter{
		client: client, local: local, config: c, epoch: time.Now(),
		interval: q.Per / time.Duration(q.Requests), burst: q.Burst,
		calls: make(chan struct{}, maxCalls),
	}, nil
}

// Take takes one request from the quota of key.
func (l *Limiter) Take(ctx context.Context, key string) middleware.Grant {
	g := l.local.Take(ctx, key)
	if !g.OK || !l.ask() {
		return g
	}
	if shared, ok := l.shared(ctx, key); ok {
		return shared
	}
	return g
}

// ask reports whether Redis should be asked. Once it failed to answer, one
// request at a time finds out whether it does again.
func (l *Limiter) ask() bool {
	until := l.away.Load()
	if until == 0 {
		return true
	}
	now := time.Since(l.epoch)
	return now >= time.Duration(until) && l.away.CompareAndSwap(until, int64(now+l.pause))
}

type answer struct {
	grant middleware.Grant
	err   error
}

// shared asks Redis, and reports false if there is no answer in time. The call
// has a goroutine of its own, since clients do not heed contexts by default; it
// ends by the timeouts of the client at the latest.
func (l *Limiter) shared(ctx context.Context, key string) (middleware.Grant, bool) {
	select {
	case l.calls <- struct{}{}:
	default:
		return middleware.Grant{}, false
	}
	// A request that goes away says nothing about Redis.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	result := make(chan answer, 1)
	go func() {
		defer func() { <-l.calls }()
		defer cancel()
		g, err := l.take(ctx, key)
		result <- answer{g, err}
	}()
	var a answer
	select {
	case a = <-result:
	case <-ctx.Done():
		select {
		case a = <-result: // the context ends with the call, too
		default:
			a.err = ctx.Err()
		}
	}
	if a.err != nil {
		l.away.Store(int64(max(1, time.Since(l.epoch)+l.pause)))
		if l.onError != nil {
			l.onError(fmt.Errorf("redisrate: %w", a.err))
		}
		return middleware.Grant{}, false
	}
	l.away.Store(0)
	return a.grant, true
}

func (l *Limiter) take(ctx context.Context, key string) (middleware.Grant, error) {
	reply, err := script.Run(ctx, l.client, []string{l.prefix + key},
		int64(l.interval/time.Microsecond), int64(l.interval/time.Microsecond)*int64(l.burst)).Int64Slice()
	if err != nil {
		return middleware.Grant{}, err
	}
	if len(reply) != 3 {
		return middleware.Grant{}, fmt.Errorf("%d values from the script, want 3", len(reply))
	}
	g := middleware.Grant{
		OK:      reply[0] == 1,
		Reset:   time.Duration(reply[1]) * time.Microsecond,
		RetryIn: time.Duration(reply[2]) * time.Microsecond,
	}
	if g.OK {
		g.Remaining = int((l.interval*time.Duration(l.burst) - g.Reset) / l.interval)
	}
	return g, nil
}
