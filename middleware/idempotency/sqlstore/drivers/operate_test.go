package drivers_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// An operator finds a key that is stuck, and ends it with an answer or frees it.
func TestOperate(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s, ctx := d.store(t, db), t.Context()
		if _, err := s.Find(ctx, "caller", "k"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("Find without a record: %v, want sql.ErrNoRows", err)
		}
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		find := func(want idempotency.State) idempotency.Record {
			t.Helper()
			r, err := s.Find(ctx, "caller", "k")
			if err != nil || r.State != want || r.Key != c.Key || r.Fingerprint != c.Fingerprint || r.Runs != 1 || r.Applied {
				t.Fatalf("Find: %+v, %v; want %v of %+v", r, err, want, c)
			}
			return r
		}
		r := find(idempotency.Busy)
		if left := time.Until(r.LeaseUntil); r.Owner != c.Owner || left < 50*time.Second || left > time.Minute || time.Until(r.KeepUntil) < 59*time.Minute {
			t.Errorf("Find: %+v, want a lease of a minute of %s, kept for an hour", r, c.Owner)
		}
		if err := s.Resolve(ctx, "caller", "k", paid); err == nil {
			t.Error("Resolve of a key that runs: no error")
		}
		ended := c.Hold
		ended.Lease = 0
		if err := s.Renew(ctx, ended); err != nil {
			t.Fatal(err)
		}
		find(idempotency.Unknown)
		if err := s.Resolve(ctx, "caller", "k", idempotency.Answer{Status: 12}); err == nil {
			t.Error("Resolve with what is no answer: no error")
		}
		if err := s.Resolve(ctx, "caller", "k", paid); err != nil {
			t.Fatal(err)
		}
		if r := find(idempotency.Done); r.Answer.Status != 201 || string(r.Answer.Body) != "paid" || !r.LeaseUntil.IsZero() {
			t.Errorf("Find: %+v, want the answer", r)
		}
		begin(t, s, newClaim("k", time.Minute), idempotency.Done)
		if err := s.Finish(ctx, c.Hold, idempotency.Answer{Status: 500}); !errors.Is(err, idempotency.ErrLost) {
			t.Errorf("Finish of a run that an operator has ended: %v, want ErrLost", err)
		}
		if err := s.Resolve(ctx, "caller", "k", idempotency.Answer{}); err == nil {
			t.Error("Resolve of a key that is done: no error")
		}

		begin(t, s, newClaim("free", 0), idempotency.Started)
		if err := s.Resolve(ctx, "caller", "free", idempotency.Answer{}); err != nil {
			t.Fatal(err)
		}
		if got := begin(t, s, newClaim("free", time.Minute), idempotency.Started); got.Runs != 1 {
			t.Errorf("Runs %d of a key that was freed, want 1", got.Runs)
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s, ctx := d.store(t, db), t.Context()
		for range 5 {
			c := newClaim(rand.Text(), 0)
			c.Keep = 0
			begin(t, s, c, idempotency.Started)
		}
		begin(t, s, newClaim("kept", 0), idempotency.Started)
		for _, want := range []int64{3, 2, 0} {
			if got, err := s.Sweep(ctx, 3); got != want || err != nil {
				t.Errorf("Sweep: %d, %v; want %d", got, err, want)
			}
		}
		begin(t, s, newClaim("kept", 0), idempotency.Unknown)
	})
}

// A row that somebody else has written is an error, and never an answer.
func TestForeignRows(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s, ctx := d.store(t, db), t.Context()
		for _, set := range []string{
			"answer = '200 OK'", "answer = ''", "runs = -1", "applied = 2", "applied = -1",
		} {
			d.exec(t, db, "DELETE FROM "+tableFor(t))
			begin(t, s, newClaim("k", 0), idempotency.Started)
			d.exec(t, db, "UPDATE "+tableFor(t)+" SET "+set)
			for range 2 {
				if got, err := s.Begin(ctx, resuming(newClaim("k", time.Minute))); err == nil {
					t.Errorf("%s: Begin: %+v, want an error", set, got)
				}
			}
			if got, err := s.Find(ctx, "caller", "k"); err == nil {
				t.Errorf("%s: Find: %+v, want an error", set, got)
			}
		}
	})
}

// A commit that hangs keeps its record locked. A claim for it is not stuck too.
func TestStuckCommit(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		if d.dialect == sqlstore.SQLite {
			t.Skip("writers wait for each other for the busy timeout")
		}
		t.Parallel()
		s := d.store(t, db)
		begin(t, s, newClaim("k", 0), idempotency.Started)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("UPDATE " + tableFor(t) + " SET runs = 5"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		// One that does not want to take it over does not wait, in any process.
		begin(t, d.at(t, db), newClaim("k", time.Minute), idempotency.Unknown)
		if took := time.Since(start); took > time.Second {
			t.Errorf("unknown after %v", took)
		}
		if got := begin(t, s, resuming(newClaim("k", time.Minute)), idempotency.Busy); got.Left <= 0 {
			t.Errorf("Left %v, want more than 0", got.Left)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("busy after %v, want about 2s", took)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := begin(t, s, resuming(newClaim("k", time.Minute)), idempotency.Started); got.Runs != 6 {
			t.Errorf("Runs %d, want 6", got.Runs)
		}
	})
}

// Processes in different time zones have one clock.
func TestTimeZones(t *testing.T) {
	base := mysqlDSN(mysql.need(t)) + "?time_zone="
	d := database{name: "mysql", driver: "mysql", dialect: sqlstore.MySQL}
	east := d.store(t, d.connect(t, base+"%27%2B09:00%27"))
	west := d.at(t, d.connect(t, base+"%27-08:00%27"))
	begin(t, east, newClaim("k", time.Minute), idempotency.Started)
	if got := begin(t, west, newClaim("k", time.Minute), idempotency.Busy); got.Left > time.Minute || got.Left < 50*time.Second {
		t.Errorf("Left %v of a lease of a minute", got.Left)
	}
}
