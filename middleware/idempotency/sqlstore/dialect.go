package sqlstore

import (
	"fmt"
	"strings"
)

// A Dialect is the SQL of a database. The list is closed.
type Dialect int8

const (
	Postgres Dialect = iota + 1 // PostgreSQL 9.5 or later; tested with 15
	SQLite                      // SQLite 3.24 or later
	MySQL                       // MySQL 8.0 or later, MariaDB 10.3 or later; tested with MariaDB 10.11
)

// String returns the name of the dialect.
func (d Dialect) String() string {
	switch d {
	case Postgres:
		return "Postgres"
	case SQLite:
		return "SQLite"
	case MySQL:
		return "MySQL"
	}
	return fmt.Sprintf("Dialect(%d)", int8(d))
}

// clock returns the database's time in microseconds since 1970. In Postgres now() is
// the start of the transaction, and extract is slower than date_part, because its result
// is a numeric. In MySQL NOW() is in the time zone of the session.
func (d Dialect) clock() string {
	switch d {
	case Postgres:
		return "(date_part('epoch', clock_timestamp()) * 1000000)::bigint"
	case SQLite:
		return "cast((julianday('now') - 2440587.5) * 86400000 as integer) * 1000"
	}
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
}

// schema returns what makes the table. A record is done if it has an answer.
func (d Dialect) schema() string {
	switch d {
	case Postgres:
		return `CREATE TABLE IF NOT EXISTS {table} (
	k text COLLATE "C" PRIMARY KEY,
	fp text COLLATE "C" NOT NULL,
	owner text COLLATE "C" NOT NULL,
	runs integer NOT NULL,
	applied smallint NOT NULL,
	lease_until bigint NOT NULL,
	keep_until bigint NOT NULL,
	answer bytea
);
CREATE INDEX IF NOT EXISTS {index}_keep ON {table} (keep_until);
`
	case SQLite:
		return `CREATE TABLE IF NOT EXISTS {table} (
	k TEXT PRIMARY KEY NOT NULL,
	fp TEXT NOT NULL,
	owner TEXT NOT NULL,
	runs INTEGER NOT NULL,
	applied INTEGER NOT NULL,
	lease_until INTEGER NOT NULL,
	keep_until INTEGER NOT NULL,
	answer BLOB
);
CREATE INDEX IF NOT EXISTS {table}_keep ON {index} (keep_until);
`
	}
	return `CREATE TABLE IF NOT EXISTS {table} (
	k VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	fp VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	runs INT NOT NULL,
	applied TINYINT NOT NULL,
	lease_until BIGINT NOT NULL,
	keep_until BIGINT NOT NULL,
	answer MEDIUMBLOB,
	INDEX {index}_keep (keep_until)
) ENGINE=InnoDB;
`
}

// A statement is one in the dialect. Arguments are numbered, as in Postgres.
type statement struct {
	text string
	// order has the number of the argument of each question mark, which is what MySQL
	// has instead of numbers.
	order []int
}

func (s statement) args(numbered ...any) []any {
	if s.order == nil {
		return numbered
	}
	args := make([]any, len(s.order))
	for i, n := range s.order {
		args[i] = numbered[n-1]
	}
	return args
}

// statements are all that a store needs. $1 is the key, and $2 the owner or the
// fingerprint.
type statements struct {
	look, insert, replace, takeover, renew, finish, release, mark statement
	lock, own, snapshot, sweep, resolve, free                     statement
}

func (d Dialect) statements(table string) statements {
	const (
		columns = "fp, owner, runs, applied, lease_until - {now}, keep_until - {now}, answer"
		made    = "INSERT INTO {table} (k, fp, owner, runs, applied, lease_until, keep_until) "
		first   = "$1, $2, $3, 1, 0, {now} + $4, {now} + $5"
		mine    = " WHERE k = $1 AND owner = $2 AND answer IS NULL"
		kept    = " AND keep_until > {now}"
	)
	is := func(text string) statement { return d.statement(text, table) }
	return statements{
		look:   is("SELECT " + columns + " FROM {table} WHERE k = $1"),
		insert: is(made + d.values(first)),
		replace: is("UPDATE {table} SET fp = $2, owner = $3, runs = 1, applied = 0, answer = NULL, lease_until = {now} + $4, keep_until = {now} + $5{wait}" +
			" WHERE k = $1 AND owner = $6 AND keep_until <= {now}"),
		takeover: is("UPDATE {table} SET owner = $2, runs = runs + 1, lease_until = {now} + $3, keep_until = {now} + $4{wait}" +
			" WHERE k = $1 AND owner = $5 AND answer IS NULL AND lease_until <= {now}"),
		renew:   is("UPDATE {table} SET lease_until = {now} + $3, keep_until = {now} + $4{wait}" + mine + kept),
		finish:  is("UPDATE {table} SET answer = $3, lease_until = 0, keep_until = {now} + $4" + mine + kept),
		release: is("DELETE FROM {table}" + mine),
		mark:    is("UPDATE {table} SET applied = 1" + mine + kept + " AND applied = 0"),
		lock:    is("SELECT k FROM {table} WHERE k = $1 FOR UPDATE NOWAIT"),
		resolve: is("UPDATE {table} SET owner = $2, answer = $3, lease_until = 0, keep_until = {now} + $4" +
			" WHERE k = $1 AND answer IS NULL AND lease_until <= {now}" + kept),
		own:      is("SELECT k FROM {table}" + mine + " FOR UPDATE"),
		snapshot: is(d.snapshot()),
		free:     is("DELETE FROM {table} WHERE k = $1 AND answer IS NULL AND lease_until <= {now}"),
		sweep:    is(d.sweep()),
	}
}

func (d Dialect) statement(text, table string) statement {
	wait := ""
	if d == Postgres {
		// The lock of a row is waited for this long, by this statement alone.
		wait = " FROM set_config('lock_timeout', '2000', true) AS patience"
	}
	text = strings.NewReplacer("{table}", table, "{now}", d.clock(), "{wait}", wait).Replace(text)
	if d != MySQL {
		return statement{text: text}
	}
	s := statement{order: []int{}}
	parts := strings.Split(text, "$")
	s.text = parts[0]
	for _, part := range parts[1:] { // no statement has ten arguments
		s.order = append(s.order, int(part[0]-'0'))
		s.text += "?" + part[1:]
	}
	return s
}

// values inserts the record if the key has no record yet. In Postgres ON CONFLICT alone
// would wait for a transaction that has changed the record and not committed. In MySQL
// only IGNORE would ignore a record that exists, and it would hide all other errors too:
// there the insert fails, and that error is recognized.
func (d Dialect) values(record string) string {
	switch d {
	case Postgres:
		return "SELECT " + record + " WHERE NOT EXISTS (SELECT FROM {table} WHERE k = $1) ON CONFLICT (k) DO NOTHING"
	case SQLite:
		return "VALUES (" + record + ") ON CONFLICT (k) DO NOTHING"
	}
	return "VALUES (" + record + ")"
}

// sweep deletes at most $1 records. The subquery of the time is evaluated once, so
// that the index can be used.
func (d Dialect) sweep() string {
	switch d {
	case Postgres:
		return "DELETE FROM {table} WHERE k IN (SELECT k FROM {table} WHERE keep_until <= (SELECT {now}) LIMIT $1 FOR UPDATE SKIP LOCKED)"
	case SQLite:
		return "DELETE FROM {table} WHERE k IN (SELECT k FROM {table} WHERE keep_until <= {now} LIMIT $1)"
	}
	return "DELETE FROM {table} WHERE keep_until <= {now} LIMIT $1"
}

// snapshot asks whether a transaction fails when it changes what others have changed
// since it began. MySQL has no such variable, and the first column is of no interest.
func (d Dialect) snapshot() string {
	if d == MySQL {
		return "SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"
	}
	return "SELECT '', CASE WHEN current_setting('transaction_isolation') LIKE 'read %' THEN 'OFF' ELSE 'ON' END"
}
