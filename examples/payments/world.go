package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A world is a service, its database and its customers.
type world struct {
	settings
	order
	db     *sql.DB
	client *http.Client

	customersDone, killerDone sync.WaitGroup
	stopKiller                context.CancelFunc

	mu      sync.Mutex // guards what follows
	tally   count
	service *exec.Cmd
	life    io.Closer // the service ends when this is closed
	err     error     // of starting the service
}

// A count is what came of a world.
type count struct {
	Keys      bool // with package idempotency
	Kills     int
	Paid      int // purchases that were answered
	Differing int // purchases with two different answers
	Charges   int
	Twice     int  // purchases that were charged more than once
	Never     int  // purchases that were answered and not charged
	Balance   bool // the accounts agree with the charges
}

func newWorld(s settings, dir string, keys bool) (*world, error) {
	name := "without"
	if keys {
		name = "with"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Close()
	w := &world{settings: s, order: order{Addr: l.Addr().String(), Keys: keys, database: newDatabase(s, dir, name)}}
	w.tally.Keys = keys
	if w.db, err = w.open(); err != nil {
		return nil, err
	}
	if err := w.create(context.Background(), w.db, s.customers); err != nil {
		w.db.Close()
		return nil, err
	}
	// Without a budget: all that customers do here is to try again.
	chain, err := transport.New(http.DefaultTransport,
		transport.WithPolicy(transport.Policy{MaxAttempts: 4, BaseDelay: 50 * time.Millisecond, AttemptTimeout: 3 * time.Second}),
		transport.WithBudget(nil))
	if err != nil {
		w.db.Close()
		return nil, err
	}
	w.client = &http.Client{Transport: chain}
	return w, nil
}

// start starts the service, and the customers, who pay until ctx is done and then end
// what they have begun.
func (w *world) start(ctx context.Context) {
	killing, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stopKiller = stop
	w.restart()
	w.killerDone.Go(func() { w.kill(killing) })
	for i := range w.customers {
		w.customersDone.Go(func() {
			for n := 0; ctx.Err() == nil && w.failure() == nil; n++ {
				w.pay(nameOf(i), fmt.Sprint(nameOf(i), "/", n))
				<-time.After(rand.N(200 * time.Millisecond))
			}
		})
	}
}

// finish waits for the customers and ends the service.
func (w *world) finish() {
	w.customersDone.Wait()
	w.stopKiller()
	w.killerDone.Wait()
	w.end()
}

func (w *world) close() {
	w.end()
	w.client.CloseIdleConnections()
	w.drop(context.Background(), w.db)
	w.db.Close()
}

// kill kills the service with kill -9, at random, and starts it again.
func (w *world) kill(ctx context.Context) {
	for {
		next := time.NewTimer(w.kills/2 + rand.N(w.kills))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
		w.end()
		w.mu.Lock()
		w.tally.Kills++
		w.mu.Unlock()
		w.restart()
	}
}

func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := json.Marshal(w.order)
	if err != nil {
		w.err = err
		return
	}
	self, err := os.Executable()
	if err != nil {
		w.err = err
		return
	}
	w.service = exec.Command(self)
	w.service.Env = append(os.Environ(), serviceEnv+"="+string(text))
	w.service.Stderr = os.Stderr
	if w.life, err = w.service.StdinPipe(); err == nil {
		err = w.service.Start()
	}
	if err != nil {
		w.err, w.service = err, nil
	}
}

func (w *world) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.service != nil {
		w.service.Process.Kill()
		w.service.Wait()
		w.service = nil
	}
}

func (w *world) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// pay makes one purchase. Its key is made with it, so every try has the same one. In
// one of 20 the customer clicks twice.
func (w *world) pay(who, purchase string) {
	key := headers.NewIdempotencyKey()
	first := w.send(who, purchase, key)
	differ := rand.IntN(20) == 0 && w.send(who, purchase, key) != first
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally.Paid++
	if differ {
		w.tally.Differing++
	}
}

// send tries until there is an answer, and returns the number of the charge.
func (w *world) send(who, purchase, key string) (charge string) {
	for w.failure() == nil {
		charge, err := w.try(who, purchase, key)
		if err == nil {
			return charge
		}
		<-time.After(50 * time.Millisecond)
	}
	return ""
}

var errNotPaid = errors.New("not paid")

func (w *world) try(who, purchase, key string) (charge string, err error) {
	body := url.Values{"purchase": {purchase}}.Encode()
	r, err := http.NewRequest(http.MethodPost, "http://"+w.Addr+"/charges", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Customer", who)
	r.Header.Set(headers.IdempotencyKey, headers.FormatIdempotencyKey(key))
	resp, err := w.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = errNotPaid
	}
	return string(answer), err
}

// count asks the database what was charged.
func (w *world) count(ctx context.Context) (count, error) {
	w.mu.Lock()
	c, err := w.tally, w.err
	w.mu.Unlock()
	if err != nil {
		return c, err
	}
	var purchases, balance int
	err = w.db.QueryRowContext(ctx, "SELECT count(*), count(DISTINCT purchase) FROM "+w.Charges).Scan(&c.Charges, &purchases)
	if err == nil {
		err = w.db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT purchase FROM "+w.Charges+" GROUP BY purchase HAVING count(*) > 1) AS twice").Scan(&c.Twice)
	}
	if err == nil {
		err = w.db.QueryRowContext(ctx, "SELECT sum(balance) FROM "+w.Accounts).Scan(&balance)
	}
	c.Never = max(0, c.Paid-purchases)
	c.Balance = w.customers*startBalance-balance == c.Charges
	return c, err
}
