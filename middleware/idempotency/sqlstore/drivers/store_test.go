package drivers_test

import (
	"database/sql"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/idempotencytest"
)

// The store keeps the laws of every store, with each driver.
func TestStore(t *testing.T) {
	each(t, func(t *testing.T, d database, db *sql.DB) {
		t.Parallel()
		s := d.store(t, db)
		idempotencytest.Run(t, func(*testing.T) idempotency.Store { return s })
	})
}
