package drivers_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// A database is one that a driver opens.
type database struct {
	name    string
	driver  string
	dialect sqlstore.Dialect
	dsn     func(t testing.TB) string
}

// databases are all drivers, and the isolation levels that change what they do.
var databases = []database{
	{"sqlite", "sqlite", sqlstore.SQLite, func(t testing.TB) string { return sqliteDSN(filepath.Join(t.TempDir(), "db")) }},
	{"sqlite deferred", "sqlite", sqlstore.SQLite, func(t testing.TB) string {
		return "file:" + filepath.Join(t.TempDir(), "db") + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)"
	}},
	{"pgx", "pgx", sqlstore.Postgres, pgxWith("")},
	{"pgx repeatable read", "pgx", sqlstore.Postgres, pgxWith("&default_transaction_isolation=repeatable%20read")},
	{"pgx serializable", "pgx", sqlstore.Postgres, pgxWith("&default_transaction_isolation=serializable")},
	{"pq", "postgres", sqlstore.Postgres, pgxWith("")},
	{"mysql", "mysql", sqlstore.MySQL, mysqlWith("")},
	{"mysql interpolated", "mysql", sqlstore.MySQL, mysqlWith("?interpolateParams=true&clientFoundRows=true")},
	{"mysql read committed", "mysql", sqlstore.MySQL, mysqlWith("?interpolateParams=true&tx_isolation=%27READ-COMMITTED%27")},
	{"mysql snapshot", "mysql", sqlstore.MySQL, mysqlWith("?interpolateParams=true&innodb_snapshot_isolation=ON")},
	{"mysql serializable", "mysql", sqlstore.MySQL, mysqlWith("?interpolateParams=true&tx_isolation=%27SERIALIZABLE%27")},
}

// each runs a test on each of them.
func each(t *testing.T, test func(t *testing.T, d database, db *sql.DB)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { test(t, d, d.connect(t, d.dsn(t))) })
	}
}

// connect opens the database.
func (d database) connect(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	return pooled(t, db)
}

func pooled(t testing.TB, db *sql.DB) *sql.DB {
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(32)
	t.Cleanup(func() { db.Close() })
	return db
}

// store returns a store in a table of its own, which it makes.
func (d database) store(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s := d.at(t, db)
	d.exec(t, db, "DROP TABLE IF EXISTS "+tableFor(t))
	d.exec(t, db, s.Schema())
	return s
}

// at returns a store in the table of this test.
func (d database) at(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(db, d.dialect, sqlstore.Table(tableFor(t)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tableFor returns a name for a table of this test.
func tableFor(t testing.TB) string {
	name := []byte(strings.ToLower(t.Name()))
	for i, b := range name {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			name[i] = '_'
		}
	}
	return string(name[max(0, len(name)-40):])
}

func (d database) exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func sqliteDSN(path string) string {
	return "file:" + path + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_txlock=immediate"
}

func pgxWith(parameters string) func(t testing.TB) string {
	return func(t testing.TB) string { return postgresURL(postgres.need(t)) + parameters }
}

func mysqlWith(parameters string) func(t testing.TB) string {
	return func(t testing.TB) string { return mysqlDSN(mysql.need(t)) + parameters }
}
