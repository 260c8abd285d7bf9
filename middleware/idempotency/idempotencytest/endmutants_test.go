package idempotencytest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var endMutants = []mutant{
	{"joins header lines", "done", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) {
			for name, values := range a.Header {
				a.Header[name] = []string{strings.Join(values, ", ")}
			}
		})
	}},
	{"splits header lines at commas", "done", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) {
			for name, values := range a.Header {
				a.Header[name] = strings.Split(strings.Join(values, ","), ",")
			}
		})
	}},
	{"stores header lines as UTF-8", "done", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) {
			for name, values := range a.Header {
				for i, v := range values {
					a.Header[name][i] = strings.ToValidUTF8(v, "?")
				}
			}
		})
	}},
	{"cuts bodies at a 0 byte", "done", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) {
			if i := strings.IndexByte(string(a.Body), 0); i >= 0 {
				a.Body = a.Body[:i]
			}
		})
	}},
	{"cuts bodies at 64 KiB", "done", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) { a.Body = a.Body[:min(len(a.Body), 64<<10)] })
	}},
	{"stores the status 200", "done", func(b *book) *spoiled { return onAnswer(b, func(a *answer) { a.Status = 200 }) }},
	{"lets the owner run again when it is done", "done", func(b *book) *spoiled {
		s, l := unfenced(b)
		begin := s.begin
		s.begin = func(ctx context.Context, c claim) (found, error) {
			f, err := begin(ctx, c)
			if f.State == idempotency.Done && l.latest(c.Hold) == c.Hold {
				f = found{State: idempotency.Started, Runs: 1}
			}
			return f, err
		}
		return s
	}},
	{"forgets that an answer was not kept", "tombstone", func(b *book) *spoiled { return onAnswer(b, func(a *answer) { a.Tombstone = false }) }},
	{"forgets where the answer was", "tombstone", func(b *book) *spoiled {
		return onAnswer(b, func(a *answer) {
			if a.Tombstone {
				a.Header = nil
			}
		})
	}},
	{"takes a second Finish for a lost key", "finishedtwice", func(b *book) *spoiled {
		var mu sync.Mutex
		finished := make(map[string]bool)
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			mu.Lock()
			defer mu.Unlock()
			if finished[h.Key] {
				return idempotency.ErrLost
			}
			finished[h.Key] = true
			return b.Finish(ctx, h, a)
		}}
	}},
	{"takes the second answer", "finishedtwice", func(b *book) *spoiled {
		var mu sync.Mutex
		last := make(map[string]answer)
		s := &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			err := b.Finish(ctx, h, a)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				last[h.Key] = a
			}
			return err
		}}
		s.begin = func(ctx context.Context, c claim) (found, error) {
			f, err := b.Begin(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if f.State == idempotency.Done {
				f.Answer = last[c.Key]
			}
			return f, err
		}
		return s
	}},
	{"releases what is done", "finishedtwice", func(b *book) *spoiled {
		return &spoiled{book: b, release: func(context.Context, hold) error { return nil }}
	}},
	{"finds no error in nothing to release, and releases nothing", "release", func(b *book) *spoiled {
		return &spoiled{book: b, release: func(context.Context, hold) error { return nil }}
	}},
	{"has an error for nothing to release", "release", func(b *book) *spoiled {
		return &spoiled{book: b, release: func(ctx context.Context, h hold) error {
			if f, _ := b.Begin(ctx, claim{Hold: h, Fingerprint: fingerprint("spy")}); f.State == idempotency.Started {
				b.Release(ctx, h)
				return idempotency.ErrLost
			}
			return b.Release(ctx, h)
		}}
	}},
	{"finishes without a record", "absent", func(b *book) *spoiled {
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			b.Begin(ctx, claim{Hold: h, Fingerprint: fingerprint("one")})
			return b.Finish(ctx, h, a)
		}}
	}},
	{"renews without a record", "absent", func(b *book) *spoiled {
		return &spoiled{book: b, renew: func(ctx context.Context, h hold) error {
			b.Begin(ctx, claim{Hold: h, Fingerprint: fingerprint("one")})
			return b.Renew(ctx, h)
		}}
	}},
	{"keeps records for ever", "keep", func(b *book) *spoiled {
		s := onClaim(b, func(c *claim) { c.Keep = day })
		s.finish = func(ctx context.Context, h hold, a answer) error { h.Keep = day; return b.Finish(ctx, h, a) }
		return s
	}},
	{"keeps answers for ever", "keep", func(b *book) *spoiled {
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error { h.Keep = day; return b.Finish(ctx, h, a) }}
	}},
	{"keeps for as long as the claim said", "kept", func(b *book) *spoiled {
		var mu sync.Mutex
		keeps := make(map[string]time.Duration)
		s := onClaim(b, func(c *claim) {
			mu.Lock()
			defer mu.Unlock()
			if _, ok := keeps[c.Key]; !ok {
				keeps[c.Key] = c.Keep
			}
		})
		s.renew = func(ctx context.Context, h hold) error {
			mu.Lock()
			h.Keep = keeps[h.Key]
			mu.Unlock()
			return b.Renew(ctx, h)
		}
		return s
	}},
	{"keeps an answer as long as the run", "kept", func(b *book) *spoiled {
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			h.Keep = 10 * short
			return b.Finish(ctx, h, a)
		}}
	}},
}
