package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// serviceEnv has a process be the account service, and holds its order.
const serviceEnv = "EVENKEEL_PAYMENTS_SERVICE"

// An order is the configuration of a service.
type order struct {
	Addr string
	Keys bool // with package idempotency
	database
}

// service is the account service.
type service struct {
	db *sql.DB
	order
}

// serve is the service, until it is killed or its parent ends.
func serve() error {
	s := service{}
	if err := json.Unmarshal([]byte(os.Getenv(serviceEnv)), &s.order); err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	var err error
	if s.db, err = s.open(); err != nil {
		return err
	}
	handler, err := s.handler()
	if err != nil {
		return err
	}
	return http.ListenAndServe(s.Addr, handler)
}

// handler is where the worlds differ: by the two lines.
func (s *service) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", s.charge)
	if !s.Keys {
		return mux, nil
	}
	store, err := s.store(s.db)
	if err != nil {
		return nil, err
	}
	// README: two lines
	keys, err := idempotency.New(store, customer, idempotency.InTransaction(every), idempotency.Lease(time.Second))
	if err != nil {
		return nil, err
	}
	return keys(mux), nil
	// README: end
}

// customer is who pays. A service that is no example takes it from the login.
func customer(r *http.Request) (string, bool) {
	name := r.Header.Get("X-Customer")
	return name, name != ""
}

func every(*http.Request) bool { return true }

// charge books a purchase, makes the receipt and answers with the number of the
// charge.
func (s *service) charge(w http.ResponseWriter, r *http.Request) {
	who, _ := customer(r)
	id, err := s.book(r.Context(), who, r.FormValue("purchase"))
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	receipt()
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, id)
}

// receipt takes as long as one would.
func receipt() { <-time.After(2 * time.Millisecond) }

// book charges the account, in the transaction of the request if there is one.
func (s *service) book(ctx context.Context, who, purchase string) (id string, err error) {
	id = rand.Text()
	// README: book
	if tx, ok := sqlstore.Tx(ctx); ok {
		return id, s.write(ctx, tx, id, who, purchase)
	}
	// README: end
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := s.write(ctx, tx, id, who, purchase); err != nil {
		return "", err
	}
	return id, tx.Commit()
}

func (s *service) write(ctx context.Context, tx *sql.Tx, id, who, purchase string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE "+s.Accounts+" SET balance = balance - 1 WHERE customer = $1", who); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+s.Charges+" (id, customer, purchase) VALUES ($1, $2, $3)", id, who, purchase)
	return err
}
