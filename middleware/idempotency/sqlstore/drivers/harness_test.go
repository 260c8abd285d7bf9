package drivers_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var paid = idempotency.Answer{Status: 201, Body: []byte("paid")}

// newClaim returns one of a new owner.
func newClaim(key string, lease time.Duration) idempotency.Claim {
	return idempotency.Claim{
		Hold:        idempotency.Hold{Key: idempotency.RecordKey("caller", key), Owner: rand.Text(), Lease: lease, Keep: time.Hour},
		Fingerprint: idempotency.RecordKey("request", "one"),
	}
}

func resuming(c idempotency.Claim) idempotency.Claim {
	c.Resume = true
	return c
}

// begin expects the state.
func begin(t testing.TB, s idempotency.Store, c idempotency.Claim, want idempotency.State) idempotency.Found {
	t.Helper()
	got, err := s.Begin(t.Context(), c)
	if err != nil || got.State != want {
		t.Fatalf("Begin: %+v, %v; want %v", got, err, want)
	}
	return got
}
