package drivers_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// childEnv holds what a child does, and has the test binary be one.
const childEnv = "EVENKEEL_SQLSTORE_CHILD"

// An order is the request that a child serves until it is killed.
type order struct {
	Driver, DSN, Table, Effects string
	Dialect                     sqlstore.Dialect
	Key                         string
	At                          point // where it waits for its end
}

// childMain serves one request, says when it has come to the point, and stays there.
func childMain() error {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &o); err != nil {
		return err
	}
	plain, err := sql.Open(o.Driver, o.DSN)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector{plain.Driver(), o.DSN})
	s, err := sqlstore.New(db, o.Dialect, sqlstore.Table(o.Table))
	if err != nil {
		return err
	}
	p := &process{at: func(at point) {
		if at == o.At {
			fmt.Println("here")
			select {}
		}
	}}
	handler, err := o.handler(s, p)
	if err != nil {
		return err
	}
	return fmt.Errorf("it got as far as %d", post(handler, o.Key).Code)
}

// handler has one effect for each run that commits.
func (o order) handler(s *sqlstore.Store, p *process) (http.Handler, error) {
	wrap, err := idempotency.New(s, idempotency.ByAuthorization, idempotency.InTransaction(everything), idempotency.Lease(time.Second))
	if err != nil {
		return nil, err
	}
	inner := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tx, _ := sqlstore.Tx(r.Context())
		if _, err := tx.ExecContext(r.Context(), "INSERT INTO "+o.Effects+" (k) VALUES ('"+o.Key+"')"); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.at(afterEffect)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, os.Getpid())
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(as(r.Context(), p)))
	}), nil
}

// kill starts a child, and kills it with kill -9 when it has come to the point.
func (o order) kill(ctx context.Context) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || line != "here\n" {
		return fmt.Errorf("the child said %q: %v", line, err)
	}
	return nil
}

// Processes are killed with kill -9 between the effect and the commit, and after the
// commit. A client that sends the request again has its effect once.
func TestKill(t *testing.T) {
	kills := 12
	if *long {
		kills = 200
	}
	for _, d := range databases {
		if d.name != "sqlite" && d.name != "pgx" && d.name != "mysql interpolated" {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			db := d.connect(t, dsn)
			s, written := d.store(t, db), tableFor(t)+"_e"
			d.exec(t, db, "CREATE TABLE "+written+" (k VARCHAR(64) NOT NULL)")
			orders := make([]order, kills)
			for i := range orders {
				orders[i] = order{d.driver, dsn, tableFor(t), written, d.dialect, fmt.Sprint("key-", i), []point{afterEffect, afterFinish, afterEffect, afterCommit}[i%4]}
				if err := orders[i].kill(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var all sync.WaitGroup
			for _, o := range orders {
				all.Go(func() { o.again(t, s) })
			}
			all.Wait()
			for _, o := range orders {
				if got := effects(t, db, written+" WHERE k = '"+o.Key+"'"); got != 1 {
					t.Errorf("%s, killed at %d: %d effects, want 1", o.Key, o.At, got)
				}
			}
		})
	}
}

// again sends the request until it is answered, and once more for the same answer.
func (o order) again(t *testing.T, s *sqlstore.Store) {
	handler, err := o.handler(s, &process{at: func(point) {}})
	if err != nil {
		t.Error(err)
		return
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		w := post(handler, o.Key)
		switch w.Code {
		case http.StatusCreated:
			if again := post(handler, o.Key); again.Code != w.Code || again.Body.String() != w.Body.String() {
				t.Errorf("%s: %d %q, and then %d %q", o.Key, w.Code, w.Body, again.Code, again.Body)
			}
			return
		case http.StatusConflict, http.StatusServiceUnavailable:
		default:
			t.Errorf("%s: %d %s", o.Key, w.Code, w.Body)
			return
		}
	}
	t.Errorf("%s was never answered", o.Key)
}
