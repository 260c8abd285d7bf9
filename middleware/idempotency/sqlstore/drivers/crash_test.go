package drivers_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
)

// long runs the experiments with all databases and in full.
var long = flag.Bool("long", false, "run the experiments with all databases, and each kill 200 times")

// A plan is how a process finishes a key.
type plan int

const (
	inTransaction plan = iota // with the effect
	afterwards                // and a run whose process died is run again: most stores
	unresumed                 // afterwards, and such a run is not run again
)

// An experiment has clients repeat writes until they are answered, on processes that
// die and pause anywhere.
type experiment struct {
	database
	db      *sql.DB // of the processes
	store   *sqlstore.Store
	plan    plan
	effects string // table

	mu       sync.Mutex // guards what follows
	answers  []map[string]bool
	requests int
}

const (
	clients     = 4 // that send the same key
	crashLease  = 60 * time.Millisecond
	mostTries   = 400
	concurrency = 24
)

func (d database) experiment(t *testing.T, p plan, keys int) *experiment {
	dsn := d.dsn(t)
	db := d.connect(t, dsn)
	d.store(t, db)
	e := &experiment{database: d, db: d.faulty(t, dsn), plan: p, effects: "effects_" + tableFor(t), answers: make([]map[string]bool, keys)}
	d.exec(t, db, "DROP TABLE IF EXISTS "+e.effects)
	d.exec(t, db, "CREATE TABLE "+e.effects+" (k VARCHAR(64) NOT NULL, body VARCHAR(64) NOT NULL)")
	var err error
	if e.store, err = sqlstore.New(e.db, d.dialect, sqlstore.Table(tableFor(t))); err != nil {
		t.Fatal(err)
	}
	return e
}

// A report is what an experiment found.
type report struct {
	twice, never int // effects
	differing    int // answers
	requests     int
}

func (e *experiment) run(t *testing.T) report {
	var all sync.WaitGroup
	room := make(chan struct{}, concurrency)
	for i := range e.answers {
		e.answers[i] = make(map[string]bool)
		for range clients {
			all.Go(func() {
				if !e.client(t, i, room) && e.plan != unresumed {
					t.Errorf("key %d was never answered", i)
				}
			})
		}
	}
	all.Wait()
	r := report{requests: e.requests}
	for i, answers := range e.answers {
		var n int
		if err := e.db.QueryRow("SELECT count(*) FROM " + e.effects + " WHERE k = '" + keyOf(i) + "'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		switch {
		case n > 1:
			r.twice++
		case n < 1:
			r.never++
		}
		if len(answers) > 1 {
			r.differing++
		}
	}
	return r
}

func keyOf(i int) string { return fmt.Sprint("key-", i) }

// client repeats a request until it is answered.
func (e *experiment) client(t *testing.T, key int, room chan struct{}) bool {
	pause := time.NewTicker(crashLease / 4)
	defer pause.Stop()
	for range mostTries {
		room <- struct{}{}
		answer, err := e.serve(t.Context(), keyOf(key))
		<-room
		e.mu.Lock()
		e.requests++
		if err == nil {
			e.answers[key][answer] = true
		}
		e.mu.Unlock()
		if err == nil {
			return true
		}
		if errors.Is(err, errUnknown) {
			return false
		}
		<-pause.C
	}
	return false
}

var (
	errUnknown = errors.New("nobody knows")
	errBusy    = errors.New("another has the key")
)

// serve is one request on a process of its own.
func (e *experiment) serve(ctx context.Context, key string) (string, error) {
	p := &process{}
	p.at = func(point) {
		switch mathrand.IntN(12) {
		case 0, 1:
			p.dead = true
		case 2:
			<-time.After(crashLease + crashLease/2)
		}
	}
	ctx = as(ctx, p)
	c := idempotency.Claim{
		Hold:        idempotency.Hold{Key: idempotency.RecordKey("caller", key), Owner: rand.Text(), Lease: crashLease, Keep: time.Hour},
		Fingerprint: idempotency.RecordKey("request", key),
		Resume:      e.plan != unresumed,
	}
	found, err := e.store.Begin(ctx, c)
	switch {
	case err != nil:
		return "", err
	case found.State == idempotency.Done:
		return string(found.Answer.Body), nil
	case found.State == idempotency.Unknown:
		return "", errUnknown
	case found.State != idempotency.Started:
		return "", errBusy
	}
	p.at(afterClaim)
	answer := idempotency.Answer{Status: 201, Body: []byte(key + " " + c.Owner)}
	if e.plan == inTransaction {
		err = e.store.InTx(ctx, c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
			tx, _ := sqlstore.Tx(ctx)
			return answer, e.effect(ctx, tx, key, c.Owner) == nil
		})
	} else {
		err = e.twoSteps(ctx, c, key, answer)
	}
	if err != nil {
		return "", err
	}
	p.at(afterReply)
	if p.dead {
		return "", errDied
	}
	// What run returned false for was not committed.
	if found, err = e.store.Begin(ctx, c); err != nil || found.State != idempotency.Done {
		return "", errors.Join(err, errBusy)
	}
	return string(found.Answer.Body), nil
}

// twoSteps stores the answer after the commit.
func (e *experiment) twoSteps(ctx context.Context, c idempotency.Claim, key string, answer idempotency.Answer) error {
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := e.effect(ctx, tx, key, c.Owner); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return e.store.Finish(ctx, c.Hold, answer)
}

func (e *experiment) effect(ctx context.Context, tx *sql.Tx, key, owner string) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO "+e.effects+" (k, body) VALUES ('"+key+"', '"+owner+"')"); err != nil {
		return err
	}
	p, _ := alive(ctx)
	p.at(afterEffect)
	if p.dead {
		return errDied
	}
	return nil
}

// Processes die and pause after the claim, the effect, the answer, the commit and the
// reply. In the effect's transaction each effect happens exactly once and has one
// answer. Without it, it happens at most once if a run whose process died is not run
// again, and more than once if it is: the experiment can fail.
func TestCrashAnywhere(t *testing.T) {
	short := map[string]int{"sqlite": 40, "pgx": 150, "mysql interpolated": 150}
	for _, d := range databases {
		keys := short[d.name]
		if keys == 0 && !*long {
			continue
		}
		if keys == 0 {
			keys = 150
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range []struct {
				name string
				plan plan
				keys int
				ok   func(report) bool
			}{
				{"in the transaction", inTransaction, keys, func(r report) bool { return r.twice == 0 && r.never == 0 && r.differing == 0 }},
				{"afterwards, not run again", unresumed, keys, func(r report) bool { return r.twice == 0 && r.differing == 0 }},
				{"afterwards, run again", afterwards, 40, func(r report) bool { return r.twice > 0 }},
			} {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					start := time.Now()
					r := d.experiment(t, tt.plan, tt.keys).run(t)
					t.Logf("%d keys, %d clients each, %d requests: %d effects twice, %d never, %d keys with two answers (%v)",
						tt.keys, clients, r.requests, r.twice, r.never, r.differing, time.Since(start).Round(time.Millisecond))
					if !tt.ok(r) {
						t.Error("this is not what it promises")
					}
				})
			}
		})
	}
}
