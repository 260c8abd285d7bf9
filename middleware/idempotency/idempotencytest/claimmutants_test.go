package idempotencytest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var claimMutants = []mutant{
	{"counts runs from 0", "first", func(b *book) *spoiled { return onFound(b, func(f *found) { f.Runs = max(0, f.Runs-1) }) }},
	{"has one record for all keys", "first", func(b *book) *spoiled {
		s := onClaim(b, func(c *claim) { c.Key = "one" })
		s.release = func(ctx context.Context, h hold) error { h.Key = "one"; return b.Release(ctx, h) }
		return s
	}},
	{"releases all keys", "first", func(b *book) *spoiled {
		var mu sync.Mutex
		var holds []hold
		s := &spoiled{book: b}
		s.begin = func(ctx context.Context, c claim) (found, error) {
			mu.Lock()
			defer mu.Unlock()
			holds = append(holds, c.Hold)
			return b.Begin(ctx, c)
		}
		s.release = func(ctx context.Context, h hold) error {
			mu.Lock()
			defer mu.Unlock()
			for _, other := range holds {
				b.Release(ctx, other)
			}
			return nil
		}
		return s
	}},
	{"does not know the owner again", "again", func(b *book) *spoiled { return onClaim(b, func(c *claim) { c.Owner += rand.Text() }) }},
	{"counts a repeated claim", "again", func(b *book) *spoiled {
		runs := 0
		return onFound(b, func(f *found) {
			if f.State == idempotency.Started {
				runs++
				f.Runs = runs
			}
		})
	}},
	{"does not say what is left", "busy", func(b *book) *spoiled { return onFound(b, func(f *found) { f.Left = 0 }) }},
	{"says what is left in milliseconds", "busy", func(b *book) *spoiled { return onFound(b, func(f *found) { f.Left /= 1e6 }) }},
	{"says Left with Started too", "busy", func(b *book) *spoiled { return onFound(b, func(f *found) { f.Left = time.Second }) }},
	{"resumes while the lease lasts", "busy", func(b *book) *spoiled {
		return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
			f, err := b.Begin(ctx, c)
			if f.State == idempotency.Busy && c.Resume {
				f = found{State: idempotency.Started, Runs: 2}
			}
			return f, err
		}}
	}},
	{"does not compare fingerprints", "mismatch", func(b *book) *spoiled { return onClaim(b, func(c *claim) { c.Fingerprint = "same" }) }},
	{"does not compare them when it is done", "mismatch", func(b *book) *spoiled {
		var mu sync.Mutex
		fps := make(map[string]string)
		s := &spoiled{book: b}
		s.begin = func(ctx context.Context, c claim) (found, error) {
			mu.Lock()
			defer mu.Unlock()
			f, err := b.Begin(ctx, c)
			if f.State == idempotency.Started {
				fps[c.Key] = c.Fingerprint
			}
			if f.State == idempotency.Mismatch {
				c.Fingerprint = fps[c.Key]
				if again, _ := b.Begin(ctx, c); again.State == idempotency.Done {
					return again, nil
				}
			}
			return f, err
		}
		return s
	}},
	{"resumes whether the claim wants it or not", "unknown", func(b *book) *spoiled { return onClaim(b, func(c *claim) { c.Resume = true }) }},
	{"renews with each look", "unknown", func(b *book) *spoiled {
		s, l := unfenced(b)
		begin := s.begin
		s.begin = func(ctx context.Context, c claim) (found, error) {
			f, err := begin(ctx, c)
			if f.State == idempotency.Busy {
				h := l.latest(c.Hold)
				h.Lease = long
				b.Renew(ctx, h)
			}
			return f, err
		}
		return s
	}},
	{"does not renew a lease that is over", "ownlease", func(b *book) *spoiled {
		return &spoiled{book: b, renew: func(ctx context.Context, h hold) error {
			c := claim{Hold: h, Fingerprint: fingerprint("one")}
			c.Owner = "spy"
			if f, _ := b.Begin(ctx, c); f.State == idempotency.Unknown {
				return idempotency.ErrLost
			}
			return b.Renew(ctx, h)
		}}
	}},
	{"never resumes", "resume", func(b *book) *spoiled { return onClaim(b, func(c *claim) { c.Resume = false }) }},
	{"does not count resumed runs", "resume", func(b *book) *spoiled { return onFound(b, func(f *found) { f.Runs = min(f.Runs, 1) }) }},
	{"has no fence in Finish", "fence", func(b *book) *spoiled {
		s, l := unfenced(b)
		s.finish = func(ctx context.Context, h hold, a answer) error { return b.Finish(ctx, l.latest(h), a) }
		return s
	}},
	{"has no fence in Renew", "fence", func(b *book) *spoiled {
		s, l := unfenced(b)
		s.renew = func(ctx context.Context, h hold) error { return b.Renew(ctx, l.latest(h)) }
		return s
	}},
	{"has no fence in Release", "fence", func(b *book) *spoiled {
		s, l := unfenced(b)
		s.release = func(ctx context.Context, h hold) error { return b.Release(ctx, l.latest(h)) }
		return s
	}},
	{"has an ErrLost of its own", "fence", func(b *book) *spoiled {
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			if err := b.Finish(ctx, h, a); err != nil {
				return errSpoiled
			}
			return nil
		}}
	}},
	{"does not renew", "renew", func(b *book) *spoiled {
		return &spoiled{book: b, renew: func(ctx context.Context, h hold) error {
			if h.Lease == 0 {
				return b.Renew(ctx, h)
			}
			return nil
		}}
	}},
	{"takes Lease 0 for no change", "ended", func(b *book) *spoiled {
		return &spoiled{book: b, renew: func(ctx context.Context, h hold) error {
			if h.Lease == 0 {
				h.Lease = long
			}
			return b.Renew(ctx, h)
		}}
	}},
}
