package middleware

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/gcra"
)

const (
	defaultKeys = 65_536
	maxDebt     = 100 * 365 * 24 * time.Hour
)

// LocalLimiter counts the requests of this process by the generic cell rate
// algorithm of ITU-T I.371. It stores one number for each key, the time at which its
// quota will be whole again, and at most 65 bytes of its name: longer keys are stored
// by their SHA-256. Make one with [NewLocalLimiter]; it is safe for concurrent use
// and starts no goroutine.
type LocalLimiter struct {
	rate      gcra.Rate
	unlimited bool
	epoch     time.Time
	keys      *gcra.Keys[fullAt]
}

// fullAt is when the quota of a key is whole again, since the epoch.
type fullAt time.Duration

// Full is what the keys are ordered by.
func (f fullAt) Full() time.Duration { return time.Duration(f) }

// NewLocalLimiter returns a [Limiter] that keeps at most maxKeys keys. 0 means
// 65,536, math.MaxInt means no limit, and a negative number is an error. To make
// room, it forgets the keys that have used least of their quota.
func NewLocalLimiter(q Quota, maxKeys int) (*LocalLimiter, error) {
	if err := q.validate(); err != nil {
		return nil, fmt.Errorf("middleware: NewLocalLimiter: %w", err)
	}
	if maxKeys < 0 {
		return nil, fmt.Errorf("middleware: NewLocalLimiter: maxKeys %d: want at least 1, or 0 for the default", maxKeys)
	}
	if maxKeys == 0 {
		maxKeys = defaultKeys
	}
	return newLocal(q, maxKeys), nil
}

func newLocal(q Quota, maxKeys int) *LocalLimiter {
	l := &LocalLimiter{unlimited: q.unlimited(), epoch: time.Now(), keys: gcra.NewKeys[fullAt](maxKeys)}
	if !l.unlimited {
		l.rate = q.filled().rate()
	}
	return l
}

// Take takes one request from the quota of key.
func (l *LocalLimiter) Take(_ context.Context, key string) Grant {
	if l.unlimited {
		return Grant{OK: true, Remaining: math.MaxInt}
	}
	name := gcra.Name(key)
	s := l.keys.Lock(name)
	defer s.Unlock()
	now := time.Since(l.epoch)
	at, known := s.Get(name)
	full, ok := l.rate.Take(now, time.Duration(at))
	if !ok {
		return Grant{Reset: full - now, RetryIn: l.rate.RetryIn(now, full)}
	}
	if known {
		s.Set(name, fullAt(full))
	} else {
		s.Add(name, fullAt(full))
	}
	return Grant{OK: true, Remaining: l.rate.Left(now, full), Reset: full - now}
}
