package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// MySQL has question marks, and the arguments in their order.
func TestArguments(t *testing.T) {
	s := MySQL.statement("SET a = $3 WHERE k = $1 AND b = $3 AND c = $2", "t")
	if want := "SET a = ? WHERE k = ? AND b = ? AND c = ?"; s.text != want {
		t.Errorf("text %q, want %q", s.text, want)
	}
	if got, want := s.args("x", "y", "z"), []any{"z", "x", "z", "y"}; !slices.Equal(got, want) {
		t.Errorf("arguments %v, want %v", got, want)
	}
	s = Postgres.statement("WHERE k = $2", "t")
	if got, want := s.args("x", "y"), []any{"x", "y"}; s.text != "WHERE k = $2" || !slices.Equal(got, want) {
		t.Errorf("Postgres: %q with %v, want it as it was", s.text, got)
	}
}

// No statement is left with a place that is not filled in.
func TestStatements(t *testing.T) {
	for _, d := range []Dialect{Postgres, SQLite, MySQL} {
		for _, s := range all(d.statements("shop.k")) {
			if strings.ContainsAny(s.text, "{}") {
				t.Errorf("%v: %s", d, s.text)
			}
		}
	}
}

func all(s statements) []statement {
	return []statement{s.look, s.insert, s.replace, s.takeover, s.renew, s.finish, s.release, s.mark,
		s.lock, s.own, s.snapshot, s.sweep, s.resolve, s.free}
}

// stateError is what the errors of pgx and lib/pq have in common.
type stateError string

func (e stateError) Error() string    { return "ERROR: something (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }

func TestFailureOf(t *testing.T) {
	for _, tt := range []struct {
		dialect Dialect
		err     error
		want    failure
	}{
		{Postgres, nil, failed},
		{Postgres, stateError("40001"), conflict},
		{Postgres, fmt.Errorf("commit: %w", stateError("40P01")), conflict},
		{Postgres, stateError("55P03"), blocked},
		{Postgres, stateError("23505"), failed},
		{Postgres, errors.New("40001"), failed},
		{SQLite, errors.New("database is locked (5) (SQLITE_BUSY)"), blocked},
		{SQLite, errors.New("sqlite3: database table is locked"), blocked},
		{SQLite, errors.New("disk I/O error"), failed},
		{MySQL, errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction"), conflict},
		{MySQL, errors.New("Error 1213: Deadlock found"), conflict},
		{MySQL, errors.New("Error 1020 (HY000): Record has changed since last read in table 't'"), conflict},
		{MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), blocked},
		{MySQL, errors.New("Error 3572 (HY000): Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set."), blocked},
		{MySQL, fmt.Errorf("insert: %w", errors.New("Error 1062 (23000): Duplicate entry 'Error 1213' for key 'PRIMARY'")), duplicate},
		{MySQL, errors.New("Error 12130: no such error"), failed},
		{MySQL, errors.New("Error "), failed},
		{MySQL, errors.New("invalid connection"), failed},
	} {
		if got := tt.dialect.failureOf(tt.err); got != tt.want {
			t.Errorf("%v, %v: %d, want %d", tt.dialect, tt.err, got, tt.want)
		}
	}
}
