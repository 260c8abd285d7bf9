package idempotencytest

import (
	"context"
	"sync"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A mutant is a store that breaks a law, and the check that sees it.
type mutant struct {
	name, check string
	store       func(*book) *spoiled
}

type (
	claim  = idempotency.Claim
	hold   = idempotency.Hold
	found  = idempotency.Found
	answer = idempotency.Answer
)

// onAnswer spoils what is stored.
func onAnswer(b *book, change func(*answer)) *spoiled {
	return &spoiled{book: b, finish: func(ctx context.Context, h hold, a answer) error {
		a.Header = a.Header.Clone()
		change(&a)
		return b.Finish(ctx, h, a)
	}}
}

// onFound spoils what Begin says.
func onFound(b *book, change func(*found)) *spoiled {
	return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
		f, err := b.Begin(ctx, c)
		change(&f)
		return f, err
	}}
}

// onClaim spoils what is asked of Begin.
func onClaim(b *book, change func(*claim)) *spoiled {
	return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
		change(&c)
		return b.Begin(ctx, c)
	}}
}

// leases remembers the latest owner of each key, for mutants without a fence.
type leases struct {
	mu     sync.Mutex // guards owners
	owners map[string]string
}

func (l *leases) note(c claim, f found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owners == nil {
		l.owners = make(map[string]string)
	}
	if f.State == idempotency.Started {
		l.owners[c.Key] = c.Owner
	}
}

func (l *leases) latest(h hold) hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, ok := l.owners[h.Key]; ok {
		h.Owner = owner
	}
	return h
}

// unfenced takes every owner for the latest.
func unfenced(b *book) (*spoiled, *leases) {
	l := new(leases)
	return &spoiled{book: b, begin: func(ctx context.Context, c claim) (found, error) {
		f, err := b.Begin(ctx, c)
		l.note(c, f)
		return f, err
	}}, l
}
