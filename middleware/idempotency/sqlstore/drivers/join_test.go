package drivers_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
	"github.com/jackc/pgx/v5"
)

func everything(*http.Request) bool { return true }

// post sends a request with a key, and recovers from the handler's panic.
func post(handler http.Handler, key string) (w *httptest.ResponseRecorder) {
	r := httptest.NewRequest("POST", "/payments", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer t")
	r.Header.Set("Idempotency-Key", key)
	w = httptest.NewRecorder()
	defer func() { recover() }()
	handler.ServeHTTP(w, r)
	return w
}

func withKeys(t testing.TB, s idempotency.Store, handler http.HandlerFunc, opts ...idempotency.Option) http.Handler {
	t.Helper()
	wrap, err := idempotency.New(s, idempotency.ByAuthorization, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(handler)
}

// A handler makes its own transaction, joins the run, commits and dies. The next run
// knows that the effect is there, although the route is not one to resume.
func TestJoin(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s, written := d.store(t, db), tableFor(t)+"_e"
		d.exec(t, db, "CREATE TABLE "+written+" (id INT)")
		var dies bool
		var applied []bool
		handler := withKeys(t, s, func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			info, _ := idempotency.FromContext(ctx)
			applied = append(applied, info.Applied)
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+written+" (id) VALUES (1)"); err != nil {
				t.Error(err)
			}
			err = s.Join(ctx, tx)
			if info.Applied { // a handler that does not look is stopped here
				if !errors.Is(err, idempotency.ErrLost) {
					t.Errorf("Join after an earlier run has committed: %v, want ErrLost", err)
				}
				w.WriteHeader(http.StatusOK)
				return
			}
			if err != nil {
				t.Errorf("Join: %v", err)
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			if dies {
				dies = false
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusCreated)
		})
		dies = true
		post(handler, "dies")
		for range 2 {
			if got := post(handler, "dies").Code; got != http.StatusOK {
				t.Errorf("after a run that died: %d, want 200", got)
			}
		}
		for range 2 {
			if got := post(handler, "lives").Code; got != http.StatusCreated {
				t.Errorf("%d, want 201", got)
			}
		}
		if got := effects(t, db, written); got != 2 {
			t.Errorf("%d effects of 2 keys", got)
		}
		if len(applied) != 3 || applied[0] || !applied[1] || applied[2] {
			t.Errorf("Applied of the runs: %v, want false, true, false", applied)
		}
	})
}

// A run that has lost its key can not join, and its effect is rolled back.
func TestJoinOfALostKey(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s, written := d.store(t, db), tableFor(t)+"_e"
		d.exec(t, db, "CREATE TABLE "+written+" (id INT)")
		handler := withKeys(t, s, func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			info, _ := idempotency.FromContext(ctx)
			if info.Runs != 1 {
				t.Errorf("Runs %d, want 1", info.Runs)
			}
			// It paused, and another process has the key.
			d.exec(t, db, "UPDATE "+tableFor(t)+" SET owner = 'other', runs = 2")
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+written+" (id) VALUES (1)"); err != nil {
				t.Error(err)
			}
			if err := s.Join(ctx, tx); !errors.Is(err, idempotency.ErrLost) {
				t.Errorf("Join: %v, want ErrLost", err)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		post(handler, "k")
		if got := effects(t, db, written); got != 0 {
			t.Errorf("%d effects, want 0", got)
		}
	})
}

// pgxTx makes a transaction of pgx an Execer.
type pgxTx struct{ pgx.Tx }

func (x pgxTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tag, err := x.Exec(ctx, query, args...)
	return driver.RowsAffected(tag.RowsAffected()), err
}

func TestJoinWithPgx(t *testing.T) {
	addr := postgres.need(t)
	d := database{"pgx", "pgx", sqlstore.Postgres, pgxWith("")}
	db := d.connect(t, d.dsn(t))
	s, written := d.store(t, db), tableFor(t)+"_e"
	d.exec(t, db, "CREATE TABLE "+written+" (id INT)")
	handler := withKeys(t, s, func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		conn, err := pgx.Connect(ctx, postgresURL(addr))
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO "+written+" (id) VALUES (1)"); err != nil {
				return err
			}
			return s.Join(ctx, pgxTx{tx})
		})
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
	})
	for range 3 {
		if got := post(handler, "k").Code; got != http.StatusCreated {
			t.Errorf("%d, want 201", got)
		}
	}
	if got := effects(t, db, written); got != 1 {
		t.Errorf("%d effects, want 1", got)
	}
}
