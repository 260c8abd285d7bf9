package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

const (
	// maxTries is how often a step is repeated that met another transaction.
	maxTries = 5
	// longestPause is that between two questions for a lock.
	longestPause = 512 * time.Millisecond
)

// Store is an [idempotency.Transactor] in a database. It is safe for concurrent use
// and starts no goroutine.
type Store struct {
	db      *sql.DB
	dialect Dialect
	table   string
	sql     statements

	// locked has the owners whose transaction keeps every other writer out, and their
	// renewals too, which are not needed then.
	locked sync.Map
	recent recent
	early  atomic.Pointer[bool] // see locksEarly; nil if it is not known
}

var _ idempotency.Transactor = (*Store)(nil)

// New returns a store in a table of db, which [Store.Schema] makes. It does not
// contact the database, and does not close db.
func New(db *sql.DB, d Dialect, opts ...Option) (*Store, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	err := errors.Join(d.validate(), c.validate())
	if db == nil {
		err = errors.Join(err, errors.New("sqlstore: New: want a database, not nil"))
	}
	if err != nil {
		return nil, err
	}
	return &Store{db: db, dialect: d, table: c.table, sql: d.statements(c.table)}, nil
}

// Schema returns the SQL that makes the table, unless it exists, for your migrations.
func (s *Store) Schema() string {
	index := s.table[strings.LastIndexByte(s.table, '.')+1:]
	return strings.NewReplacer("{table}", s.table, "{index}", index).Replace(s.dialect.schema())
}

// Begin implements [idempotency.Store].
func (s *Store) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Found, error) {
	// Only Postgres tells at once that a key is there which somebody has locked.
	look := s.dialect != Postgres || s.recent.add(c.Key)
	for range maxTries {
		found, ok, err := s.begin(ctx, c, look)
		look = true
		if err != nil && s.dialect.failureOf(err) != conflict {
			return idempotency.Found{}, s.wrap("Begin", c.Key, err)
		}
		if ok {
			return found, nil
		}
	}
	return idempotency.Found{}, s.wrap("Begin", c.Key, fmt.Errorf("the record changed %d times", maxTries))
}

// begin reports false if another claim came in between.
func (s *Store) begin(ctx context.Context, c idempotency.Claim, look bool) (idempotency.Found, bool, error) {
	r, made, err := s.lookOrInsert(ctx, c, look)
	if made {
		return idempotency.Found{State: idempotency.Started, Runs: 1}, true, nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return idempotency.Found{}, false, nil
	}
	if err != nil {
		return idempotency.Found{}, false, err
	}
	found, change, err := decide(r, c)
	if change == none || err != nil {
		return found, err == nil, err
	}
	changed, err := s.change(ctx, change, r, c)
	if change != renew && s.dialect.failureOf(err) == blocked {
		// The transaction that has locked the record is about to commit.
		return idempotency.Found{State: idempotency.Busy, Left: time.Second}, true, nil
	}
	return found, changed, err
}

// lookOrInsert returns the record, or inserts one. If look, it looks first, and a replay
// is one read, which writes nothing and waits for no lock. If another claim has inserted
// the record, the error is sql.ErrNoRows.
func (s *Store) lookOrInsert(ctx context.Context, c idempotency.Claim, look bool) (r record, made bool, err error) {
	if look {
		if r, err = s.look(ctx, c.Key); !errors.Is(err, sql.ErrNoRows) {
			return r, false, err
		}
	}
	n, err := s.exec(ctx, s.db, s.sql.insert, c.Key, c.Fingerprint, c.Owner, c.Lease.Microseconds(), c.Keep.Microseconds())
	if err == nil && n == 1 {
		return r, true, nil
	}
	if err == nil || s.dialect.failureOf(err) == duplicate {
		err = sql.ErrNoRows
	}
	return r, false, err
}

func (s *Store) look(ctx context.Context, key string) (r record, err error) {
	err = r.scan(s.db.QueryRowContext(ctx, s.sql.look.text, key))
	return r, err
}

// change makes the claim that of the record r, and reports false if that is another's
// by now.
func (s *Store) change(ctx context.Context, change change, r record, c idempotency.Claim) (bool, error) {
	lease, keep := c.Lease.Microseconds(), c.Keep.Microseconds()
	var n int64
	var err error
	switch change {
	case renew:
		n, err = s.exec(ctx, s.db, s.sql.renew, c.Key, c.Owner, lease, keep)
	case takeover:
		n, err = s.overtake(ctx, c.Key, s.sql.takeover, c.Key, c.Owner, lease, keep, r.owner)
	case replace:
		n, err = s.overtake(ctx, c.Key, s.sql.replace, c.Key, c.Fingerprint, c.Owner, lease, keep, r.owner)
	}
	return n == 1, err
}

// overtake changes the record of another owner, who may have locked it and be about
// to commit. MySQL would wait 50 s for the lock by default, so it is asked again
// instead, for about a second.
func (s *Store) overtake(ctx context.Context, key string, change statement, args ...any) (n int64, err error) {
	if s.dialect != MySQL {
		return s.exec(ctx, s.db, change, args...)
	}
	for pause := time.Millisecond; ; pause *= 2 {
		n, err = s.overtakeNow(ctx, key, change, args...)
		if s.dialect.failureOf(err) != blocked || pause > longestPause {
			return n, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// overtakeNow does not wait for the lock.
func (s *Store) overtakeNow(ctx context.Context, key string, change statement, args ...any) (int64, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var locked string
	if err := tx.QueryRowContext(ctx, s.sql.lock.text, key).Scan(&locked); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	n, err := s.exec(ctx, tx, change, args...)
	if err != nil {
		return 0, err
	}
	return n, tx.Commit()
}

// Renew implements [idempotency.Store].
func (s *Store) Renew(ctx context.Context, h idempotency.Hold) error {
	if _, ok := s.locked.Load(h.Owner); ok {
		return nil
	}
	n, err := s.retry(ctx, s.sql.renew, h.Key, h.Owner, h.Lease.Microseconds(), h.Keep.Microseconds())
	if err == nil && n == 0 {
		// MySQL does not count a row whose values stay the same.
		err = s.after(ctx, h, func(r record) bool { return r.owner == h.Owner && r.answer == nil && r.keep > 0 })
	}
	return s.wrap("Renew", h.Key, err)
}

// Finish implements [idempotency.Store].
func (s *Store) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	answer, err := a.MarshalBinary()
	if err != nil {
		return s.wrap("Finish", h.Key, err)
	}
	n, err := s.retry(ctx, s.sql.finish, h.Key, h.Owner, answer, h.Keep.Microseconds())
	if err == nil && n == 0 {
		err = s.after(ctx, h, func(r record) bool { return r.owner == h.Owner && r.answer != nil })
	}
	return s.wrap("Finish", h.Key, err)
}

// Release implements [idempotency.Store].
func (s *Store) Release(ctx context.Context, h idempotency.Hold) error {
	n, err := s.retry(ctx, s.sql.release, h.Key, h.Owner)
	if err == nil && n == 0 {
		err = s.after(ctx, h, func(record) bool { return false })
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
	}
	return s.wrap("Release", h.Key, err)
}

// after looks why a statement changed nothing. It returns nil if the record is as the
// statement would have left it, which it does when its first reply was lost.
func (s *Store) after(ctx context.Context, h idempotency.Hold, done func(record) bool) error {
	r, err := s.look(ctx, h.Key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: %w", idempotency.ErrLost, err)
	case err != nil:
		return err
	case !done(r):
		return idempotency.ErrLost
	}
	return nil
}

// retry executes a statement that is a transaction of its own, again if another
// transaction was in its way.
func (s *Store) retry(ctx context.Context, st statement, args ...any) (n int64, err error) {
	for range maxTries {
		n, err = s.exec(ctx, s.db, st, args...)
		if s.dialect.failureOf(err) != conflict {
			return n, err
		}
	}
	return n, err
}

// exec returns the number of rows.
func (s *Store) exec(ctx context.Context, x Execer, st statement, args ...any) (int64, error) {
	result, err := x.ExecContext(ctx, st.text, st.args(args...)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// wrap says where an error is from. A key is told by the start of its hash.
func (s *Store) wrap(method, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: %s of %.8s in %s: %w", method, key, s.table, err)
}
