package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// settleWithin is how long InTx asks for the end of a commit that failed.
const settleWithin = 5 * time.Second

// An Execer is a transaction that executes a statement, such as a *sql.Tx, the ConnPool
// of gorm's tx.Statement, or ent's Tx with the feature sql/execquery. That of pgx has
// another method:
//
//	type pgxTx struct{ pgx.Tx }
//
//	func (x pgxTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
//		tag, err := x.Exec(ctx, query, args...)
//		return driver.RowsAffected(tag.RowsAffected()), err
//	}
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

type txKey struct{}

// Tx returns the transaction in which a handler's request is run: what it writes there
// is committed with the answer, or not at all. It reports false for a context that is
// not from [Store.InTx]. The handler must not end the transaction.
func Tx(ctx context.Context) (*sql.Tx, bool) {
	tx, ok := ctx.Value(txKey{}).(*sql.Tx)
	return tx, ok
}

// InTx implements [idempotency.Transactor]. The transaction has the isolation that the
// database gives by default, and does not end with ctx.
func (s *Store) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	done, err := s.inTx(ctx, h, run)
	if done || err == nil {
		return s.wrap("InTx", h.Key, err)
	}
	return s.wrap("InTx", h.Key, s.settle(ctx, h, err))
}

// inTx reports whether it is sure how the transaction ended.
func (s *Store) inTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) (sure bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return true, err
	}
	defer conn.Close()
	// A request that is cancelled does not undo what its handler has done.
	whole := context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(whole, nil)
	if err != nil {
		return true, err
	}
	defer tx.Rollback()
	early, err := s.locksEarly(whole, tx)
	if err != nil {
		return true, err
	}
	if early {
		s.locked.Store(h.Owner, nil)
		defer s.locked.Delete(h.Owner)
		if err := s.lock(whole, tx, h); err != nil {
			return errors.Is(err, idempotency.ErrLost), err
		}
	}
	a, commit := run(context.WithValue(ctx, txKey{}, tx))
	if !commit {
		return true, nil
	}
	answer, err := a.MarshalBinary()
	if err != nil {
		return true, err
	}
	n, err := s.exec(whole, tx, s.sql.finish, h.Key, h.Owner, answer, h.Keep.Microseconds())
	switch {
	case errors.Is(err, sql.ErrTxDone):
		return true, errors.New("the handler has ended the transaction: leave Commit and Rollback to the middleware")
	case err != nil:
		return false, err
	case n == 0:
		return true, idempotency.ErrLost
	}
	if err := tx.Commit(); err != nil {
		return false, err
	}
	return true, nil
}

// locksEarly reports whether the transaction keeps others from the record until it
// ends, and would fail if they changed it. In SQLite it keeps them from everything.
// Otherwise it has a snapshot in which a renewal that others have committed is a
// conflict. Whether it has depends on the database, which is asked once.
func (s *Store) locksEarly(ctx context.Context, tx *sql.Tx) (bool, error) {
	if s.dialect == SQLite {
		return true, nil
	}
	if early := s.early.Load(); early != nil {
		return *early, nil
	}
	var name, value string
	err := tx.QueryRowContext(ctx, s.sql.snapshot.text).Scan(&name, &value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	early := value == "ON"
	s.early.Store(&early)
	return early, nil
}

// lock locks the record, unless the transaction has locked all.
func (s *Store) lock(ctx context.Context, tx *sql.Tx, h idempotency.Hold) error {
	if s.dialect == SQLite {
		return nil
	}
	var key string
	err := tx.QueryRowContext(ctx, s.sql.own.text, s.sql.own.args(h.Key, h.Owner)...).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return idempotency.ErrLost
	}
	return err
}

// settle finds out how a transaction ended whose Finish or commit failed, for instance
// since the reply was lost: the renewal waits for the lock that it has on the record.
func (s *Store) settle(ctx context.Context, h idempotency.Hold, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	n, err := s.retry(ctx, s.sql.renew, h.Key, h.Owner, h.Lease.Microseconds(), h.Keep.Microseconds())
	if err != nil {
		return errors.Join(failed, err)
	}
	if n == 1 { // it was rolled back
		return failed
	}
	r, err := s.look(ctx, h.Key)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return errors.Join(failed, err)
	case err == nil && r.owner == h.Owner && r.answer != nil:
		return nil
	case err == nil && r.owner == h.Owner:
		return failed
	}
	return fmt.Errorf("%w: %w", idempotency.ErrLost, failed)
}

// Join makes a transaction of the handler's own part of its run, where the route is
// not run in a transaction of the middleware's: with pgx, ent, gorm or another library.
// Call it once, before the handler commits, with the context of the request.
//
// If the run has lost its key, or an earlier one has committed already, Join returns
// [idempotency.ErrLost]. On any error the handler must roll back. So of all runs of a
// key at most one commits. The answer is stored after the commit. If the process ends
// in between, the next run has Applied in its [idempotency.Info]: then the handler
// answers from what it finds, and changes nothing.
//
// Under REPEATABLE READ and SERIALIZABLE call it first: a renewal of the lease after the
// transaction has begun would make it fail.
func (s *Store) Join(ctx context.Context, tx Execer) error {
	info, ok := idempotency.FromContext(ctx)
	if !ok {
		return errors.New("sqlstore: Join: the context is not that of a request with an idempotency key")
	}
	n, err := s.exec(ctx, tx, s.sql.mark, info.Hold.Key, info.Hold.Owner)
	switch {
	case s.dialect.failureOf(err) == conflict:
		err = fmt.Errorf("%w: %w", idempotency.ErrLost, err)
	case err == nil && n == 0:
		err = idempotency.ErrLost
	}
	return s.wrap("Join", info.Hold.Key, err)
}
