package idempotencytest

import (
	"context"
	"fmt"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var txChecks = []struct {
	name string
	run  func(*rig, idempotency.Transactor) error
}{
	{"commit", commit},
	{"rollback", rollback},
	{"panic", panics},
	{"lost", lost},
	{"values", values},
}

// begun returns the claim of a run that has the key.
func (r *rig) begun() (idempotency.Claim, error) {
	c := r.claim(long)
	return c, r.started("a new key", c, 1)
}

func commit(r *rig, tx idempotency.Transactor) error {
	c, err := r.begun()
	if err != nil {
		return err
	}
	calls := 0
	err = tx.InTx(r, c.Hold, func(context.Context) (idempotency.Answer, bool) {
		calls++
		return plain, true
	})
	if err != nil || calls != 1 {
		return fmt.Errorf("store.InTx: %v after %d calls, want nil after 1", err, calls)
	}
	if err := r.finished("after the commit", r.claim(long), plain); err != nil {
		return err
	}
	return r.finished("its owner, after the commit", c, plain)
}

func rollback(r *rig, tx idempotency.Transactor) error {
	c, err := r.begun()
	if err != nil {
		return err
	}
	err = tx.InTx(r, c.Hold, func(context.Context) (idempotency.Answer, bool) { return plain, false })
	if err != nil {
		return fmt.Errorf("store.InTx without a commit: %w", err)
	}
	if _, err := r.begin("after the rollback", r.claim(long), idempotency.Busy); err != nil {
		return err
	}
	if err := r.store.Release(r, c.Hold); err != nil {
		return fmt.Errorf("store.Release after the rollback: %w", err)
	}
	return r.started("after Release", r.claim(long), 1)
}

func panics(r *rig, tx idempotency.Transactor) error {
	c, err := r.begun()
	if err != nil {
		return err
	}
	const thrown = "thrown by run"
	got := func() (got any) {
		defer func() { got = recover() }()
		err := tx.InTx(r, c.Hold, func(context.Context) (idempotency.Answer, bool) { panic(thrown) })
		return fmt.Sprintf("InTx returned %v", err)
	}()
	if got != thrown {
		return fmt.Errorf("run panicked: %v came through, want %q", got, thrown)
	}
	if _, err := r.begin("after the panic", r.claim(long), idempotency.Busy); err != nil {
		return err
	}
	if err := tx.InTx(r, c.Hold, func(context.Context) (idempotency.Answer, bool) { return plain, true }); err != nil {
		return fmt.Errorf("store.InTx after a panic: %w", err)
	}
	return r.finished("in the end", r.claim(long), plain)
}

func lost(r *rig, tx idempotency.Transactor) error {
	stale, err := r.abandoned()
	if err != nil {
		return err
	}
	owner := resuming(r.claim(long))
	if err := r.started("the second run", owner, 2); err != nil {
		return err
	}
	run := func(context.Context) (idempotency.Answer, bool) { return other, true }
	if err := ask("InTx of an owner that has lost the key", tx.InTx(r, stale.Hold, run), idempotency.ErrLost); err != nil {
		return err
	}
	if err := r.started("the second owner", owner, 2); err != nil {
		return err
	}
	if err := tx.InTx(r, owner.Hold, func(context.Context) (idempotency.Answer, bool) { return plain, true }); err != nil {
		return fmt.Errorf("store.InTx of the second owner: %w", err)
	}
	if err := ask("InTx when another has finished", tx.InTx(r, stale.Hold, run), idempotency.ErrLost); err != nil {
		return err
	}
	return r.finished("the first owner", stale, plain)
}

type valueKey struct{}

func values(r *rig, tx idempotency.Transactor) error {
	c, err := r.begun()
	if err != nil {
		return err
	}
	var got any
	ctx := context.WithValue(r, valueKey{}, "the caller's")
	err = tx.InTx(ctx, c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
		got = ctx.Value(valueKey{})
		return plain, true
	})
	if err == nil && got != "the caller's" {
		return fmt.Errorf("the context of the transaction has the value %v, want that of the caller's context", got)
	}
	return err
}
