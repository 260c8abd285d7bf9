package drivers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/sqlstore"
	"github.com/rs/zerolog"
)

// The connection ends before the commit, or before its reply. InTx finds out which.
func TestSeveredCommit(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			d.store(t, d.connect(t, dsn))
			db := d.faulty(t, dsn)
			s, written := d.at(t, db), tableFor(t)+"_e"
			d.exec(t, db, "DROP TABLE IF EXISTS "+written)
			d.exec(t, db, "CREATE TABLE "+written+" (id INT)")
			for _, tt := range []struct {
				name    string
				at      point
				effects int
			}{{"before", afterFinish, 0}, {"after", afterCommit, 1}} {
				t.Run(tt.name, func(t *testing.T) {
					p := &process{}
					p.at = func(at point) { p.severed = at == tt.at }
					c := newClaim(tt.name, time.Minute)
					begin(t, s, c, idempotency.Started)
					err := s.InTx(as(t.Context(), p), c.Hold, func(ctx context.Context) (idempotency.Answer, bool) {
						tx, _ := sqlstore.Tx(ctx)
						_, err := tx.ExecContext(ctx, "INSERT INTO "+written+" (id) VALUES (1)")
						return paid, err == nil
					})
					if (err == nil) != (tt.effects == 1) || errors.Is(err, idempotency.ErrLost) {
						t.Errorf("InTx: %v", err)
					}
					want := idempotency.Started
					if tt.effects == 1 {
						want = idempotency.Done
					}
					begin(t, s, c, want)
					if got := effects(t, db, written); got != tt.effects {
						t.Errorf("%d effects, want %d", got, tt.effects)
					}
				})
			}
		})
	}
}

// newProxy returns a proxy in front of a server that can be made worse.
func newProxy(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// cut hangs up instead of passing on a reply.
func cut(t *testing.T, proxy *toxiproxy.Proxy) {
	t.Helper()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(
		`{"name":"cut","type":"limit_data","stream":"downstream","attributes":{"bytes":0}}`)); err != nil {
		t.Fatal(err)
	}
}

// The reply of a call is lost on the wire. Its owner calls again and is recognized: it is
// not told that the key is busy or lost.
func TestLostReplies(t *testing.T) {
	for _, d := range []database{
		{"pgx", "pgx", sqlstore.Postgres, nil},
		{"mysql", "mysql", sqlstore.MySQL, nil},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			upstream, dsn := "", postgresURL
			if d.dialect == sqlstore.Postgres {
				upstream = postgres.need(t)
			} else {
				upstream, dsn = mysql.need(t), func(addr string) string { return mysqlDSN(addr) + "?interpolateParams=true" }
			}
			direct := d.store(t, d.connect(t, dsn(upstream)))
			for _, tt := range []struct {
				name  string
				begun bool
				call  func(*sqlstore.Store, idempotency.Claim) error
				after idempotency.State // what another claim finds
			}{
				{"Begin", false, func(s *sqlstore.Store, c idempotency.Claim) error {
					found, err := s.Begin(t.Context(), c)
					if err == nil && (found.State != idempotency.Started || found.Runs != 1) {
						err = fmt.Errorf("found %+v, want Started and Runs 1", found)
					}
					return err
				}, idempotency.Busy},
				{"Renew", true, func(s *sqlstore.Store, c idempotency.Claim) error { return s.Renew(t.Context(), c.Hold) }, idempotency.Busy},
				{"Finish", true, func(s *sqlstore.Store, c idempotency.Claim) error { return s.Finish(t.Context(), c.Hold, paid) }, idempotency.Done},
				{"Release", true, func(s *sqlstore.Store, c idempotency.Claim) error { return s.Release(t.Context(), c.Hold) }, idempotency.Started},
			} {
				proxy := newProxy(t, upstream)
				db := d.connect(t, dsn(proxy.Listen))
				db.SetMaxOpenConns(1)
				s, err := sqlstore.New(db, d.dialect, sqlstore.Table(tableFor(t)))
				if err != nil {
					t.Fatal(err)
				}
				warm := newClaim(tt.name+" warm", time.Minute) // prepares its statement
				begin(t, direct, warm, idempotency.Started)
				if err := tt.call(s, warm); err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				c := newClaim(tt.name, time.Minute)
				if tt.begun {
					begin(t, direct, c, idempotency.Started)
				}
				cut(t, proxy)
				if err := tt.call(s, c); err == nil {
					t.Fatalf("%s: the reply was not lost", tt.name)
				}
				proxy.Toxics.ResetToxics(t.Context())
				if err := tt.call(s, c); err != nil {
					t.Errorf("%s again: %v", tt.name, err)
				}
				begin(t, direct, newClaim(tt.name, time.Minute), tt.after)
			}
		})
	}
}

// effects counts the rows of a table.
func effects(t testing.TB, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
