package idempotencytest

import (
	"context"
	"errors"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var raceMutants = []mutant{
	{"looks, then claims", "race", func(b *book) *spoiled {
		seen := &leases{owners: make(map[string]string)}
		return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
			seen.mu.Lock()
			_, claimed := seen.owners[c.Key]
			seen.mu.Unlock()
			time.Sleep(time.Millisecond)
			seen.note(c, found{State: idempotency.Started})
			f, err := b.Begin(ctx, c)
			if !claimed && f.State == idempotency.Busy {
				f = found{State: idempotency.Started, Runs: 1}
			}
			return f, err
		}}
	}},
	{"looks, then takes over", "takeover", func(b *book) *spoiled {
		return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
			look := c
			look.Owner, look.Resume = "spy", false
			if !c.Resume {
				return b.Begin(ctx, c)
			}
			before, err := b.Begin(ctx, look)
			if err != nil || before.State != idempotency.Unknown {
				return b.Begin(ctx, c)
			}
			time.Sleep(time.Millisecond)
			f, err := b.Begin(ctx, c)
			if f.State == idempotency.Busy {
				f = found{State: idempotency.Started, Runs: 2}
			}
			return f, err
		}}
	}},
	{"lets Finish and a takeover both succeed", "finishrace", func(b *book) *spoiled {
		s := onFound(b, func(f *found) {
			if f.State == idempotency.Done {
				*f = found{State: idempotency.Started, Runs: 2}
			}
		})
		s.finish = func(ctx context.Context, h hold, a answer) error {
			if err := b.Finish(ctx, h, a); !errors.Is(err, idempotency.ErrLost) {
				return err
			}
			return nil
		}
		return s
	}},
	{"loses the key with the context", "cancelled", func(b *book) *spoiled {
		return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
			if ctx.Err() != nil {
				return b.Release(context.WithoutCancel(ctx), h)
			}
			return b.Finish(ctx, h, a)
		}}
	}},
	{"claims for nobody with a context that is done", "cancelled", func(b *book) *spoiled {
		return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
			if ctx.Err() != nil {
				c.Owner = ""
				b.Begin(context.WithoutCancel(ctx), c)
				return found{}, ctx.Err()
			}
			return b.Begin(ctx, c)
		}}
	}},
	{"does not finish in the transaction", "commit", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			run(ctx)
			return nil
		}}
	}},
	{"runs twice", "commit", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			run(ctx)
			return b.InTx(ctx, h, run)
		}}
	}},
	{"commits against the will of the handler", "rollback", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			a, _ := run(ctx)
			return b.Finish(ctx, h, a)
		}}
	}},
	{"has an error for a rollback", "rollback", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			a, commit := run(ctx)
			if !commit {
				return errSpoiled
			}
			return b.Finish(ctx, h, a)
		}}
	}},
	{"turns a panic into an error", "panic", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) (err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("panicked")
				}
			}()
			return b.InTx(ctx, h, run)
		}}
	}},
	{"finishes after a panic", "panic", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			defer b.Finish(ctx, h, other)
			return b.InTx(ctx, h, run)
		}}
	}},
	{"commits without the fence", "lost", func(b *book) *spoiled {
		s, l := unfenced(b)
		s.inTx = func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			return b.InTx(ctx, l.latest(h), run)
		}
		return s
	}},
	{"does not say that the key was lost", "lost", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			if err := b.InTx(ctx, h, run); !errors.Is(err, idempotency.ErrLost) {
				return err
			}
			return nil
		}}
	}},
	{"has a context of its own", "values", func(b *book) *spoiled {
		return &spoiled{book: b, inTx: func(ctx context.Context, h hold, run func(context.Context) (answer, bool)) error {
			return b.InTx(context.Background(), h, run)
		}}
	}},
}
