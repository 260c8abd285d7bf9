package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// resolvedKeep is how long an answer is kept that an operator has given.
const resolvedKeep = 24 * time.Hour

// resolver is the owner of a record that an operator has resolved.
const resolver = "resolved"

// Sweep deletes up to max records that are kept no longer, and returns how many. Call
// it from a job, again while it returns max. Records that stay only take room.
func (s *Store) Sweep(ctx context.Context, max int) (int64, error) {
	if max < 1 {
		return 0, fmt.Errorf("sqlstore: Sweep of at most %d records: want 1 or more", max)
	}
	n, err := s.retry(ctx, s.sql.sweep, max)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: Sweep of %s: %w", s.table, err)
	}
	return n, nil
}

// Find returns the record of what a caller calls key, for operators. Without such a
// record, errors.Is reports the error as sql.ErrNoRows.
func (s *Store) Find(ctx context.Context, caller, key string) (idempotency.Record, error) {
	name := idempotency.RecordKey(caller, key)
	r, err := s.look(ctx, name)
	if err != nil {
		return idempotency.Record{}, s.wrap("Find", name, err)
	}
	found := idempotency.Record{
		Key: name, Fingerprint: r.fp, State: idempotency.Busy, Owner: r.owner, Runs: int(r.runs), Applied: r.applied == 1,
	}
	now := time.Now() // only the clock of the database decides
	found.KeepUntil = now.Add(r.keep)
	if r.answer == nil {
		found.LeaseUntil = now.Add(r.lease)
		if r.lease <= 0 {
			found.State = idempotency.Unknown
		}
		return found, nil
	}
	found.State = idempotency.Done
	found.Answer, err = r.decode()
	return found, s.wrap("Find", name, err)
}

// Resolve ends a record whose run let its lease end without an answer, once an operator
// knows what has happened: every retry gets this answer. With a zero Answer nothing has
// happened: the record is deleted, and a retry runs the request. A record that is done,
// or whose lease lasts, is not changed: that is an error.
func (s *Store) Resolve(ctx context.Context, caller, key string, a idempotency.Answer) error {
	name := idempotency.RecordKey(caller, key)
	n, err := s.resolve(ctx, name, a)
	if err == nil && n == 0 {
		err = errors.New("there is no record that is stuck: it is done, its lease lasts, or the key is unknown")
	}
	return s.wrap("Resolve", name, err)
}

func (s *Store) resolve(ctx context.Context, name string, a idempotency.Answer) (int64, error) {
	if a.Status == 0 {
		return s.retry(ctx, s.sql.free, name)
	}
	answer, err := a.MarshalBinary()
	if err != nil {
		return 0, err
	}
	// What a retry could not read must not be stored.
	if err := new(idempotency.Answer).UnmarshalBinary(answer); err != nil {
		return 0, err
	}
	return s.retry(ctx, s.sql.resolve, name, resolver, answer, resolvedKeep.Microseconds())
}
