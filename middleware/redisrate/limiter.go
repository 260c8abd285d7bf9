package redisrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/internal/gcra"
	"github.com/redis/go-redis/v9"
)

const (
	// maxCalls bounds how many calls may be under way at a time. It is met only
	// when Redis hangs; the others do without it.
	maxCalls = 1024
	// endCalls is when a call is given up by which nobody waits any more, if
	// the client heeds contexts. Otherwise its own timeouts end it.
	endCalls = 2 * time.Second

	defaultKeys = 65_536
)

// Limiter is a [middleware.Limiter]. It is safe for concurrent use.
type Limiter struct {
	client    redis.UniversalClient
	unlimited bool
	quotas    quotas
	config
	calls chan struct{} // one for each call under way
	// What all calls are made with, as the client takes it: converted once.
	sha, interval, burst, over any
	epoch                      time.Time

	mu    sync.Mutex // guards pulse
	pulse pulse
}

// New returns a limiter with the quota q for each key. It does not contact Redis. It
// does not close client.
func New(client redis.UniversalClient, q middleware.Quota, opts ...Option) (*Limiter, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	err := c.validate()
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		err = errors.Join(err, errors.New("redisrate: New: want a client, not nil"))
	}
	unlimited := q.Requests == math.MaxInt || q.Burst == math.MaxInt
	if _, quotaErr := middleware.NewLocalLimiter(q, 0); quotaErr != nil {
		err = errors.Join(err, fmt.Errorf("redisrate: New: %w", quotaErr))
	} else if !unlimited && q.Per/time.Duration(q.Requests) < time.Microsecond {
		err = errors.Join(err, fmt.Errorf("redisrate: New: %d requests per %v: want at most one per microsecond, or math.MaxInt for no limit", q.Requests, q.Per))
	}
	if err != nil {
		return nil, err
	}
	l := &Limiter{
		client: client, unlimited: unlimited, config: c, epoch: time.Now(),
		calls: make(chan struct{}, maxCalls),
		pulse: pulse{timeout: c.timeout, pause: c.pause},
	}
	if unlimited {
		return l, nil
	}
	if q.Burst == 0 {
		q.Burst = q.Requests
	}
	interval := q.Per / time.Duration(q.Requests)
	burst := interval * time.Duration(q.Burst)
	if c.maxKeys == 0 {
		c.maxKeys = defaultKeys
	}
	l.quotas = quotas{
		rate: gcra.Rate{Interval: interval, Burst: burst},
		// No key is refused for longer than its burst is worth, or for 10 s of
		// the quota, for what instances granted on their own or because a clock
		// was set back.
		over: max(burst, min(q.Per, recall)) - interval,
		keys: gcra.NewKeys[quota](c.maxKeys),
	}
	l.sha, l.interval, l.burst, l.over = takeSHA, int64(interval), int64(burst), int64(l.quotas.over)
	return l, nil
}

func (l *Limiter) now() time.Duration { return time.Since(l.epoch) }

// Take takes one request from the quota of key.
func (l *Limiter) Take(ctx context.Context, key string) middleware.Grant {
	if l.unlimited {
		return middleware.Grant{OK: true, Remaining: math.MaxInt}
	}
	name, now := gcra.Name(key), l.now()
	own, ask, asking := l.quotas.take(name, now)
	if !ask {
		return own
	}
	l.mu.Lock()
	q := l.pulse.ask(now)
	l.mu.Unlock()
	// Where nobody waits for answers, one call speaks for the requests before.
	if q.ask && (q.wait > 0 || !asking) {
		select {
		case l.calls <- struct{}{}:
			return l.shared(ctx, name, own, q)
		default:
		}
	}
	if own.OK {
		l.quotas.owe(name, 1, now)
		l.quotas.alone(name, now)
	}
	return own
}
