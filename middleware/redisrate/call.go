package redisrate

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/redis/go-redis/v9"
)

// A call is one call to Redis, in a goroutine of its own because clients do not heed
// contexts by default. Its answer counts even if the request was decided without it.
type call struct {
	name string
	own  middleware.Grant // without Redis
	question
	grant   chan middleware.Grant
	decided atomic.Bool
}

// decide reports whether the caller may say what the request is told: the first may.
func (c *call) decide() bool { return c.decided.CompareAndSwap(false, true) }

// shared asks Redis, and returns its decision if that comes in time, else the own
// grant.
func (l *Limiter) shared(ctx context.Context, name string, own middleware.Grant, q question) middleware.Grant {
	c := &call{name: name, own: own, question: q}
	// A request that goes away says nothing about Redis.
	ctx = context.WithoutCancel(ctx)
	if q.wait == 0 {
		c.decided.Store(true)
		go l.call(ctx, c)
		return l.alone(c)
	}
	c.grant = make(chan middleware.Grant, 1)
	go l.call(ctx, c)
	timer := time.NewTimer(q.wait)
	defer timer.Stop()
	select {
	case g := <-c.grant:
		return g
	case <-timer.C:
	}
	// The timer may be late itself, and the answer there.
	if !c.decide() {
		return <-c.grant
	}
	l.failed(fmt.Errorf("no answer in %v: %w", q.wait, context.DeadlineExceeded), true)
	return l.alone(c)
}

// alone returns the own grant, and notes that the request is told that.
func (l *Limiter) alone(c *call) middleware.Grant {
	if c.own.OK {
		l.quotas.alone(c.name, l.now())
	}
	return c.own
}

// call asks Redis, and makes sure that what was granted without the answer is counted.
func (l *Limiter) call(ctx context.Context, c *call) {
	defer func() { <-l.calls }()
	ctx, cancel := context.WithTimeout(ctx, max(endCalls, 2*l.timeout))
	defer cancel()
	sent := l.now()
	owed := l.quotas.ask(c.name, sent, !c.probe)
	v, err := l.run(ctx, c.name, owed)
	now := l.now()
	if err != nil {
		l.quotas.miss(c.name)
		if notRun(err) {
			if c.own.OK {
				owed++
			}
			l.quotas.owe(c.name, owed, sent)
		}
		first := c.decide()
		foreign := redis.HasErrorPrefix(err, "WRONGTYPE")
		if foreign {
			l.answered(now - sent) // the key is another's, but Redis is well
		}
		// A request that waited in vain has counted the failure.
		l.failed(err, !foreign && (first || c.wait == 0))
		if first {
			c.grant <- l.alone(c)
		}
		return
	}
	if v.ok {
		owed++
	}
	l.quotas.hear(c.name, now, v.reset, owed)
	l.answered(now - sent)
	switch {
	case c.decide():
		g := middleware.Grant{OK: v.ok, Reset: v.reset, RetryIn: v.retryIn}
		if v.ok {
			g.Remaining = l.quotas.rate.Left(0, v.reset)
		}
		c.grant <- g
	case c.own.OK && !v.ok:
		l.quotas.owe(c.name, 1, now)
	}
}

func (l *Limiter) answered(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pulse.answered(took)
}

// failed notes that there is no answer; counts says whether that is held against Redis.
func (l *Limiter) failed(err error, counts bool) {
	now := l.now()
	l.mu.Lock()
	if counts {
		l.pulse.failed(now)
	}
	tell := len(l.observers) > 0 && l.pulse.tell(now)
	l.mu.Unlock()
	if !tell {
		return
	}
	err = fmt.Errorf("redisrate: %w", err)
	for _, o := range l.observers {
		if o.OnError != nil {
			o.OnError(err)
		}
	}
}
