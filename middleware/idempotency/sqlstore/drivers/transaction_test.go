package drivers_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// A handler takes longer than its lease, which is renewed meanwhile, and commits: at
// each isolation level.
func TestRenewedInTransaction(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s := d.store(t, db)
		others := tableFor(t) + "_others"
		d.exec(t, db, "CREATE TABLE "+others+" (id INT)")
		for range 2 { // the second knows what the first has asked
			c := newClaim(t.Name(), 200*time.Millisecond)
			begin(t, s, c, idempotency.Started)
			err := s.InTx(t.Context(), c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
				tx, _ := sqlstore.Tx(ctx)
				var n int
				if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+others).Scan(&n); err != nil { // has a snapshot
					t.Error(err)
				}
				for range 4 {
					<-time.After(80 * time.Millisecond)
					if err := s.Renew(ctx, c.Hold); err != nil {
						t.Errorf("Renew: %v", err)
					}
				}
				return paid, true
			})
			if err != nil {
				t.Fatalf("InTx: %v", err)
			}
			begin(t, s, newClaim(t.Name(), time.Minute), idempotency.Done)
			d.exec(t, db, "DELETE FROM "+tableFor(t))
		}
	})
}

// A duplicate comes while the handler runs: it is told so within 5 ms, and the handler
// commits.
func TestBusyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		s := d.store(t, db)
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		err := s.InTx(t.Context(), c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
			quickest, began := time.Hour, time.Now() // a processor may be busy, for seconds
			for n := 0; n < 20 || quickest > 5*time.Millisecond && time.Since(began) < 5*time.Second; n++ {
				start := time.Now()
				begin(t, s, newClaim("k", time.Minute), idempotency.Busy)
				quickest = min(quickest, time.Since(start))
			}
			if quickest > 5*time.Millisecond {
				t.Errorf("busy after %v, want 5ms at most", quickest)
			}
			return paid, true
		})
		if err != nil {
			t.Fatalf("InTx: %v", err)
		}
	})
}

// The context of a request that is cancelled does not undo what its handler has done.
func TestCancelledRequest(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s := d.store(t, db)
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		ctx, cancel := context.WithCancel(t.Context())
		err := s.InTx(ctx, c.Hold, func(context.Context) (idempotency.Answer, bool) {
			cancel()
			return paid, true
		})
		if err != nil {
			t.Fatalf("InTx: %v", err)
		}
		begin(t, s, newClaim("k", time.Minute), idempotency.Done)
	})
}

// A handler that ends the transaction itself has made a mistake, and no answer is
// stored for what may not be there.
func TestHandlerEndsTransaction(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s := d.store(t, db)
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		err := s.InTx(t.Context(), c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
			tx, _ := sqlstore.Tx(ctx)
			tx.Rollback()
			return paid, true
		})
		if err == nil || errors.Is(err, idempotency.ErrLost) {
			t.Errorf("InTx: %v, want another error", err)
		}
		begin(t, s, c, idempotency.Started)
	})
}

// Outside of InTx there is no transaction, and with one connection nothing waits for
// itself.
func TestOneConnection(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		s := d.store(t, db)
		db.SetMaxOpenConns(1)
		if _, ok := sqlstore.Tx(t.Context()); ok {
			t.Error("there is a transaction")
		}
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		if err := s.InTx(t.Context(), c.Hold, func(context.Context) (idempotency.Answer, bool) { return paid, true }); err != nil {
			t.Fatal(err)
		}
		if err := s.InTx(t.Context(), c.Hold, func(context.Context) (idempotency.Answer, bool) { return paid, true }); !errors.Is(err, idempotency.ErrLost) {
			t.Errorf("a second InTx: %v, want ErrLost: its effect would be a second one", err)
		}
		stale := newClaim("stale", 0)
		begin(t, s, stale, idempotency.Started)
		begin(t, s, resuming(newClaim("stale", time.Minute)), idempotency.Started)
	})
}
