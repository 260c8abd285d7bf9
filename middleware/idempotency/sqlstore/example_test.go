package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// A payment and its answer are committed together.
func Example() {
	db, err := sql.Open("pgx", "postgres://localhost/shop")
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.Postgres)
	if err != nil {
		log.Fatal(err)
	}
	pay := func(w http.ResponseWriter, r *http.Request) {
		tx, ok := sqlstore.Tx(r.Context())
		if !ok { // without a key
			http.Error(w, "want an Idempotency-Key", http.StatusBadRequest)
			return
		}
		if _, err := tx.ExecContext(r.Context(), "INSERT INTO payments (amount) VALUES (100)"); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable) // which rolls back
			return
		}
		w.WriteHeader(http.StatusCreated)
	}
	all := func(*http.Request) bool { return true }
	keys, err := idempotency.New(store, idempotency.ByAuthorization, idempotency.Required(all), idempotency.InTransaction(all))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", keys(http.HandlerFunc(pay))))
}

// The mistake is to end the transaction: the middleware commits it, with the answer.
func ExampleTx_incorrect() {
	pay := func(w http.ResponseWriter, r *http.Request) {
		tx, _ := sqlstore.Tx(r.Context())
		defer tx.Rollback() // rolls back, and the request gets 503
		tx.ExecContext(r.Context(), "INSERT INTO payments (amount) VALUES (100)")
		tx.Commit() // commits without the answer, and a retry pays again
		w.WriteHeader(http.StatusCreated)
	}
	_ = pay
}

func ExampleTable() {
	db := sql.OpenDB(connector{})
	defer db.Close()
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Table("payment_keys"))
	if err != nil {
		fmt.Println(err)
		return
	}
	table, _, _ := strings.Cut(store.Schema(), " (")
	fmt.Println(table)
	_, err = sqlstore.New(db, sqlstore.SQLite, sqlstore.Table("payment keys"))
	fmt.Println(err)
	// Output:
	// CREATE TABLE IF NOT EXISTS payment_keys
	// sqlstore: Table("payment keys"): want letters, digits and _, at most 48 and no digit first, and perhaps such a schema and a dot before it
}

// A handler with a transaction of its own library lets it join the run. If an earlier
// run has committed and lost its answer, there is nothing left to do but to answer.
func ExampleStore_Join() {
	var db *sql.DB // or that of another library
	var store *sqlstore.Store
	pay := func(ctx context.Context) error {
		if info, _ := idempotency.FromContext(ctx); info.Applied {
			return nil
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "INSERT INTO payments (amount) VALUES (100)"); err != nil {
			return err
		}
		if err := store.Join(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = pay
}

// connector stands for that of a driver.
type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no driver") }
func (connector) Driver() driver.Driver                        { return nil }
