// Package drivers has the tests of package sqlstore with real drivers: pgx and lib/pq,
// go-sql-driver/mysql, and modernc.org/sqlite. It is a module of its own, so that no
// driver is a dependency of evenkeel.
//
//	cd middleware/idempotency/sqlstore/drivers
//	go test ./...
//	go test ./... -long -timeout 30m
//
// The tests start Postgres and MariaDB on free ports, in directories that are deleted at
// the end, and skip what is not installed. EVENKEEL_POSTGRES=required and
// EVENKEEL_MYSQL=required make that a failure.
package drivers
