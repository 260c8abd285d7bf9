package drivers_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// A cost is what is compared: a write with a key and without, and the answer that is
// there already and the read of any row.
type cost struct {
	db      *sql.DB
	store   *sqlstore.Store
	effects string
	done    string
}

func newCost(t testing.TB, d database) *cost {
	db := d.connect(t, d.dsn(t))
	c := &cost{db: db, store: d.store(t, db), effects: tableFor(t) + "_e", done: "done"}
	d.exec(t, db, "CREATE TABLE "+c.effects+" (k VARCHAR(64) NOT NULL PRIMARY KEY, body VARCHAR(64) NOT NULL)")
	d.exec(t, db, "INSERT INTO "+c.effects+" (k, body) VALUES ('done', 'paid')")
	claim := newClaim(c.done, time.Minute)
	begin(t, c.store, claim, idempotency.Started)
	if err := c.store.Finish(t.Context(), claim.Hold, paid); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cost) insert(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO "+c.effects+" (k, body) VALUES ($1, 'paid')", rand.Text())
	return err
}

func (c *cost) bareWrite(ctx context.Context) error {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := c.insert(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (c *cost) keyedWrite(ctx context.Context) error {
	claim := newClaim(rand.Text(), time.Minute)
	if _, err := c.store.Begin(ctx, claim); err != nil {
		return err
	}
	return c.store.InTx(ctx, claim.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
		tx, _ := sqlstore.Tx(ctx)
		return paid, c.insert(ctx, tx) == nil
	})
}

func (c *cost) bareRead(ctx context.Context) error {
	var body string
	return c.db.QueryRowContext(ctx, "SELECT body FROM "+c.effects+" WHERE k = $1", c.done).Scan(&body)
}

func (c *cost) replay(ctx context.Context) error {
	_, err := c.store.Begin(ctx, newClaim(c.done, time.Minute))
	return err
}

func BenchmarkPostgres(b *testing.B) {
	c := newCost(b, database{"pgx", "pgx", sqlstore.Postgres, pgxWith("")})
	for _, bb := range []struct {
		name string
		run  func(context.Context) error
	}{{"bare write", c.bareWrite}, {"keyed write", c.keyedWrite}, {"bare read", c.bareRead}, {"replay", c.replay}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A write with a key takes at most 2.5 times as long as its transaction alone, and a
// replay at most 1.5 times as long as the read of a row. The quickest of many are
// compared, since other processes only make them slower.
func TestCost(t *testing.T) {
	if !*long {
		t.Skip("a figure, with -long")
	}
	c := newCost(t, database{"pgx", "pgx", sqlstore.Postgres, pgxWith("")})
	for _, tt := range []struct {
		name        string
		bare, keyed func(context.Context) error
		most        float64
	}{{"write", c.bareWrite, c.keyedWrite, 2.5}, {"replay", c.bareRead, c.replay, 1.5}} {
		var bare, keyed []time.Duration
		for range 2000 {
			bare, keyed = append(bare, timed(t, tt.bare)), append(keyed, timed(t, tt.keyed))
		}
		a, b := lowQuartile(bare), lowQuartile(keyed)
		ratio := float64(b) / float64(a)
		t.Logf("%s: %v with a key, %v without: %.2f times", tt.name, b, a, ratio)
		if ratio > tt.most {
			t.Errorf("%s: %.2f times, want at most %g", tt.name, ratio, tt.most)
		}
	}
}

func timed(t *testing.T, f func(context.Context) error) time.Duration {
	start := time.Now()
	if err := f(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func lowQuartile(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/4]
}
