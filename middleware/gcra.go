package middleware

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

const (
	defaultKeys = 65_536
	shards      = 16
	candidates  = 8 // of whom the one that owes least is forgotten
	maxDebt     = 100 * 365 * 24 * time.Hour
)

// Local counts the requests of this process by the generic cell rate algorithm
// of ITU-T I.371: a key is one number, the time at which its quota would be
// whole again. Make one with [NewLocal]; it is safe for concurrent use and
// starts no goroutine.
type Local struct {
	quota  Quota
	epoch  time.Time
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex // guards full
	most int
	full map[string]time.Duration // since the epoch, when the quota of a key is whole again
}

// NewLocal returns a [Limiter] that keeps at most maxKeys keys; 0 means
// 65,536. If there are more, those are forgotten who have used least of their
// quota.
func NewLocal(q Quota, maxKeys int) (*Local, error) {
	if err := q.validate(); err != nil {
		return nil, fmt.Errorf("middleware: NewLocal: %w", err)
	}
	if maxKeys < 0 {
		return nil, fmt.Errorf("middleware: NewLocal: maxKeys %d: want at least 1, or 0 for the default", maxKeys)
	}
	if maxKeys == 0 {
		maxKeys = defaultKeys
	}
	return newLocal(q.filled(), maxKeys), nil
}

func newLocal(q Quota, maxKeys int) *Local {
	l := &Local{quota: q, epoch: time.Now(), seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].most = (maxKeys + shards - 1) / shards
		l.shards[i].full = make(map[string]time.Duration)
	}
	return l
}

// Take takes one request from the quota of key.
func (l *Local) Take(_ context.Context, key string) Grant {
	s := &l.shards[maphash.String(l.seed, key)%shards]
	now := time.Since(l.epoch)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.full[key]
	at, g := l.quota.take(now, at)
	if g.OK {
		if !known && len(s.full) >= s.most {
			s.forget()
		}
		s.full[key] = at
	}
	return g
}

// forget makes room for a key. The one of a few that owes least loses least,
// and nothing if its quota is whole by now.
func (s *shard) forget() {
	var least string
	var when time.Duration
	n := 0
	for key, at := range s.full { // in random order
		if n == 0 || at < when {
			least, when = key, at
		}
		if n++; n == candidates {
			break
		}
	}
	delete(s.full, least)
}

// take is the algorithm: full is when the quota is whole again, and what it
// returns is the same after this request.
func (q Quota) take(now, full time.Duration) (time.Duration, Grant) {
	interval := q.interval()
	burst := interval * time.Duration(q.Burst)
	full = max(full, now)
	after := full + interval
	if after-now > burst {
		return full, Grant{Reset: full - now, RetryIn: after - now - burst}
	}
	return after, Grant{OK: true, Remaining: int((burst - (after - now)) / interval), Reset: after - now}
}
