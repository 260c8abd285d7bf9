package sqlstore

import (
	"errors"
	"fmt"
	"regexp"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct{ table string }

func defaults() config { return config{table: "idempotency_keys"} }

// The name needs no quotes in any dialect.
var plainName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,47}\.)?[A-Za-z_][A-Za-z0-9_]{0,47}$`)

func (c *config) validate() error {
	if !plainName.MatchString(c.table) {
		return fmt.Errorf("sqlstore: Table(%q): want letters, digits and _, at most 48 and no digit first, and perhaps such a schema and a dot before it", c.table)
	}
	return nil
}

func (d Dialect) validate() error {
	if d < Postgres || d > MySQL {
		return errors.New("sqlstore: New: want the dialect Postgres, SQLite or MySQL")
	}
	return nil
}

// Table sets the name of the table: letters, digits and underscores, at most 48,
// perhaps with that of a schema and a dot before it. It must not be a word of SQL. The
// default is "idempotency_keys". Any other name is an error of [New].
func Table(name string) Option { return func(c *config) { c.table = name } }
