package drivers_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
)

// A process is one that serves requests, as far as the database sees it. What it does
// there fails once it is dead.
type process struct {
	dead bool
	// severed ends its connection at the next point, and the process goes on.
	severed bool
	// at is called where the process may die or pause.
	at func(point)
}

// A point is where a process may die.
type point int

const (
	afterClaim point = iota
	afterEffect
	afterFinish // and before the commit
	afterCommit // before its reply
	afterReply
)

type processKey struct{}

func as(ctx context.Context, p *process) context.Context {
	return context.WithValue(ctx, processKey{}, p)
}

var errDied = errors.New("the process has died")

// alive returns the process of a context, or an error if it is dead.
func alive(ctx context.Context) (*process, error) {
	p, _ := ctx.Value(processKey{}).(*process)
	if p != nil && p.dead {
		return p, errDied
	}
	return p, nil
}

// faulty opens a database in which processes die.
func (d database) faulty(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	return pooled(t, sql.OpenDB(connector{d.connect(t, dsn).Driver(), dsn}))
}

type connector struct {
	driver driver.Driver
	dsn    string
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &mortal{Conn: conn}, nil
}

// A mortal connection is that of the process which uses it, and ends with it.
type mortal struct {
	driver.Conn
	gone bool
}

func (m *mortal) die() error {
	m.gone = true
	m.Conn.Close()
	return errDied
}

func (m *mortal) IsValid() bool { return !m.gone }

func (m *mortal) Close() error {
	if m.gone {
		return nil
	}
	return m.Conn.Close()
}

func (m *mortal) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := m.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (m *mortal) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if _, err := alive(ctx); err != nil {
		return nil, m.die()
	}
	return m.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (m *mortal) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if _, err := alive(ctx); err != nil {
		return nil, m.die()
	}
	return m.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (m *mortal) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if _, err := alive(ctx); err != nil {
		return nil, m.die()
	}
	return m.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (m *mortal) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	p, err := alive(ctx)
	if err != nil {
		return nil, m.die()
	}
	tx, err := m.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil || p == nil {
		return tx, err
	}
	return &mortalTx{tx, m, p}, nil
}

type mortalTx struct {
	driver.Tx
	conn    *mortal
	process *process
}

// Commit is where a process dies most interestingly.
func (tx *mortalTx) Commit() error {
	if tx.ends(afterFinish) {
		return tx.conn.die()
	}
	if err := tx.Tx.Commit(); err != nil {
		return err
	}
	if tx.ends(afterCommit) {
		return tx.conn.die()
	}
	return nil
}

func (tx *mortalTx) ends(at point) bool {
	tx.process.at(at)
	severed := tx.process.severed
	tx.process.severed = false
	return tx.process.dead || severed
}

func (tx *mortalTx) Rollback() error {
	if tx.conn.gone {
		return nil
	}
	if tx.process.dead {
		return tx.conn.die()
	}
	return tx.Tx.Rollback()
}
