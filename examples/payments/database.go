package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// startBalance is what each customer has at first.
const startBalance = 1_000_000

// A database is that of one world.
type database struct {
	Driver, DSN                string
	Accounts, Charges, Records string // its tables
}

func newDatabase(s settings, dir, name string) database {
	prefix := "evenkeel_payments_" + name
	d := database{"pgx", s.postgres, prefix + "_accounts", prefix + "_charges", prefix + "_keys"}
	if s.postgres == "" {
		d.Driver = "sqlite"
		d.DSN = "file:" + filepath.ToSlash(filepath.Join(dir, name)) +
			"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	}
	return d
}

func (d database) open() (*sql.DB, error) { return sql.Open(d.Driver, d.DSN) }

func (d database) store(db *sql.DB) (*sqlstore.Store, error) {
	dialect := sqlstore.Postgres
	if d.Driver == "sqlite" {
		dialect = sqlstore.SQLite
	}
	return sqlstore.New(db, dialect, sqlstore.Table(d.Records))
}

// create makes the tables anew, with an account for each customer.
func (d database) create(ctx context.Context, db *sql.DB, customers int) error {
	store, err := d.store(db)
	if err != nil {
		return err
	}
	if err := d.drop(ctx, db); err != nil {
		return err
	}
	for _, statement := range []string{
		store.Schema(),
		"CREATE TABLE " + d.Accounts + " (customer VARCHAR(32) PRIMARY KEY, balance BIGINT NOT NULL)",
		"CREATE TABLE " + d.Charges + " (id VARCHAR(32) PRIMARY KEY, customer VARCHAR(32) NOT NULL, purchase VARCHAR(64) NOT NULL)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for i := range customers {
		if _, err := db.ExecContext(ctx, "INSERT INTO "+d.Accounts+" (customer, balance) VALUES ($1, $2)", nameOf(i), startBalance); err != nil {
			return err
		}
	}
	return nil
}

func (d database) drop(ctx context.Context, db *sql.DB) error {
	for _, table := range []string{d.Accounts, d.Charges, d.Records} {
		if _, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
			return err
		}
	}
	return nil
}

func nameOf(customer int) string { return fmt.Sprint("customer-", customer) }
