package idempotencytest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A book is a store in memory with transactions, to spoil.
type book struct{ idempotency.Store }

func newBook() *book { return &book{idempotency.NewMemory(0)} }

func (b *book) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	a, commit := run(ctx)
	if !commit {
		return nil
	}
	return b.Finish(ctx, h, a)
}

func TestBook(t *testing.T) {
	Run(t, func(*testing.T) idempotency.Store { return newBook() })
}

// failing returns the checks that a store does not pass.
func failing(t *testing.T, open func() idempotency.Transactor) []string {
	var names []string
	for _, c := range checks {
		if c.run(newRig(t, open())) != nil {
			names = append(names, c.name)
		}
	}
	for _, c := range txChecks {
		store := open()
		if c.run(newRig(t, store), store) != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// Each mutant breaks one law, and the check of that law sees it. Every check has a
// mutant.
func TestMutants(t *testing.T) {
	caught := make(map[string]bool)
	for _, m := range slices.Concat(claimMutants, endMutants, raceMutants) {
		t.Run(m.name, func(t *testing.T) {
			var got []string
			synctest.Test(t, func(t *testing.T) { // in which waits take no time
				got = failing(t, func() idempotency.Transactor { return m.store(newBook()) })
			})
			if !slices.Contains(got, m.check) {
				t.Errorf("fails %q, want %q among them", got, m.check)
			}
			for _, name := range got {
				if name == m.check {
					caught[name] = true
				}
			}
		})
	}
	for _, c := range checks {
		if !caught[c.name] {
			t.Errorf("no mutant fails %q", c.name)
		}
	}
	for _, c := range txChecks {
		if !caught[c.name] {
			t.Errorf("no mutant fails %q", c.name)
		}
	}
}

// A spoiled store calls a hook in place of a method.
type spoiled struct {
	*book
	begin   func(context.Context, idempotency.Claim) (idempotency.Found, error)
	renew   func(context.Context, idempotency.Hold) error
	finish  func(context.Context, idempotency.Hold, idempotency.Answer) error
	release func(context.Context, idempotency.Hold) error
	inTx    func(context.Context, idempotency.Hold, func(context.Context) (idempotency.Answer, bool)) error
}

func (s *spoiled) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Found, error) {
	if s.begin != nil {
		return s.begin(ctx, c)
	}
	return s.book.Begin(ctx, c)
}

func (s *spoiled) Renew(ctx context.Context, h idempotency.Hold) error {
	if s.renew != nil {
		return s.renew(ctx, h)
	}
	return s.book.Renew(ctx, h)
}

func (s *spoiled) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	if s.finish != nil {
		return s.finish(ctx, h, a)
	}
	return s.book.Finish(ctx, h, a)
}

func (s *spoiled) Release(ctx context.Context, h idempotency.Hold) error {
	if s.release != nil {
		return s.release(ctx, h)
	}
	return s.book.Release(ctx, h)
}

func (s *spoiled) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	if s.inTx != nil {
		return s.inTx(ctx, h, run)
	}
	return s.book.InTx(ctx, h, run)
}

var errSpoiled = errors.New("spoiled")
