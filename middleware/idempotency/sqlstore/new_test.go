package sqlstore_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

func TestNewErrors(t *testing.T) {
	db := sql.OpenDB(connector{})
	defer db.Close()
	longest := strings.Repeat("t", 48)
	for _, tt := range []struct {
		name    string
		db      *sql.DB
		dialect sqlstore.Dialect
		opts    []sqlstore.Option
		want    []string // parts of the error; none: no error
	}{
		{"defaults", db, sqlstore.Postgres, nil, nil},
		{"a nil option", db, sqlstore.SQLite, []sqlstore.Option{nil}, nil},
		{"a schema", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table("shop.Keys_2")}, nil},
		{"a long name", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table(longest + "." + longest)}, nil},
		{"no database", nil, sqlstore.Postgres, nil, []string{"New: want a database"}},
		{"no dialect", db, 0, nil, []string{"New: want the dialect"}},
		{"another dialect", db, 4, nil, []string{"New: want the dialect"}},
		{"a name too long", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table(longest + "t")}, []string{"Table("}},
		{"no name", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table("")}, []string{`Table("")`}},
		{"an injection", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table("k; DROP TABLE k")}, []string{"Table("}},
		{"a line below", db, sqlstore.MySQL, []sqlstore.Option{sqlstore.Table("k\n")}, []string{"Table("}},
		{"all wrong", nil, 0, []sqlstore.Option{sqlstore.Table("1")}, []string{"want a database", "want the dialect", `Table("1")`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sqlstore.New(tt.db, tt.dialect, tt.opts...)
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q in it", err, part)
				}
			}
		})
	}
}

// The database does not answer: that is an error, and no state of a key.
func TestNoDatabase(t *testing.T) {
	db := sql.OpenDB(connector{})
	defer db.Close()
	h := idempotency.Hold{Key: idempotency.RecordKey("a", "k"), Owner: "o"}
	for _, d := range []sqlstore.Dialect{sqlstore.Postgres, sqlstore.SQLite, sqlstore.MySQL} {
		t.Run(d.String(), func(t *testing.T) {
			s, err := sqlstore.New(db, d)
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			_, beginErr := s.Begin(ctx, idempotency.Claim{Hold: h})
			_, findErr := s.Find(ctx, "a", "k")
			_, sweepErr := s.Sweep(ctx, 1)
			for name, err := range map[string]error{
				"Begin": beginErr, "Renew": s.Renew(ctx, h), "Finish": s.Finish(ctx, h, idempotency.Answer{Status: 200}), "Release": s.Release(ctx, h),
				"InTx": s.InTx(ctx, h, nil), "Find": findErr, "Sweep": sweepErr, "Resolve": s.Resolve(ctx, "a", "k", idempotency.Answer{}),
			} {
				if err == nil || !strings.HasSuffix(err.Error(), "no driver") || !strings.Contains(err.Error(), "idempotency_keys") {
					t.Errorf("%s: %v, want that of the driver, and the table", name, err)
				}
			}
			if err := s.Join(ctx, nil); err == nil {
				t.Error("Join outside of a request: no error")
			}
			if _, err := s.Sweep(ctx, 0); err == nil {
				t.Error("Sweep of nothing: no error")
			}
		})
	}
}
