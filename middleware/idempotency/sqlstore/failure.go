package sqlstore

import (
	"errors"
	"strconv"
	"strings"
)

// A failure is what an error of the database means, as far as a store must know.
type failure int8

const (
	failed    failure = iota // no more is known
	conflict                 // with another transaction: this one was rolled back
	blocked                  // a lock was not free in time
	duplicate                // there is a row with this key
)

// failureOf asks without the types of the drivers, which would have to be imported.
func (d Dialect) failureOf(err error) failure {
	switch {
	case err == nil:
		return failed
	case d == Postgres:
		return postgresFailure(err)
	case d == SQLite:
		return sqliteFailure(err)
	}
	return mysqlFailure(err)
}

// postgresFailure asks for the SQLSTATE, which the errors of pgx and lib/pq have.
func postgresFailure(err error) failure {
	var e interface{ SQLState() string }
	if !errors.As(err, &e) {
		return failed
	}
	switch e.SQLState() {
	case "40001", "40P01": // serialization failure, deadlock
		return conflict
	case "55P03": // lock_timeout
		return blocked
	}
	return failed
}

// sqliteFailure knows SQLITE_BUSY and SQLITE_LOCKED by their text, which is that of
// the library in all drivers.
func sqliteFailure(err error) failure {
	text := err.Error()
	if strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked") {
		return blocked
	}
	return failed
}

// mysqlFailure reads the number in the text, as in "Error 1213 (40001): Deadlock
// found". The errors of the driver have no method for it.
func mysqlFailure(err error) failure {
	_, text, _ := strings.Cut(err.Error(), "Error ")
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	number, _ := strconv.Atoi(digits)
	switch number {
	case 1020, 1213: // ER_CHECKREAD, as of a snapshot that is too old, and ER_LOCK_DEADLOCK
		return conflict
	case 1205, 3572: // ER_LOCK_WAIT_TIMEOUT and, with NOWAIT, ER_LOCK_NOWAIT
		return blocked
	case 1062: // ER_DUP_ENTRY
		return duplicate
	}
	return failed
}
