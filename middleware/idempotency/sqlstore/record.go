package sqlstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A record is a row of the table. Its times are what is left of them.
type record struct {
	fp, owner     string
	runs, applied int64
	lease, keep   time.Duration
	answer        []byte // nil while it runs
}

// errForeign says that a row was not written by this package.
var errForeign = errors.New("the row holds something else than a record")

// scan returns an error for a row that is not a record.
func (r *record) scan(row interface{ Scan(...any) error }) error {
	var lease, keep int64
	if err := row.Scan(&r.fp, &r.owner, &r.runs, &r.applied, &lease, &keep, &r.answer); err != nil {
		return err
	}
	if r.runs < 1 || r.applied < 0 || r.applied > 1 {
		return errForeign
	}
	r.lease, r.keep = time.Duration(lease)*time.Microsecond, time.Duration(keep)*time.Microsecond
	return nil
}

// A change is what makes a claim that of the record.
type change int8

const (
	none     change = iota
	renew           // it is already
	takeover        // another run has let its lease end
	replace         // the record is kept no longer
)

// decide says what a claim finds, and what has to be changed for it.
func decide(r record, c idempotency.Claim) (idempotency.Found, change, error) {
	started := idempotency.Found{State: idempotency.Started, Runs: int(r.runs), Applied: r.applied == 1}
	switch {
	case r.keep <= 0:
		return idempotency.Found{State: idempotency.Started, Runs: 1}, replace, nil
	case r.fp != c.Fingerprint:
		return idempotency.Found{State: idempotency.Mismatch}, none, nil
	case r.answer != nil:
		a, err := r.decode()
		return idempotency.Found{State: idempotency.Done, Answer: a}, none, err
	case r.owner == c.Owner:
		return started, renew, nil
	case r.lease > 0:
		return idempotency.Found{State: idempotency.Busy, Left: r.lease}, none, nil
	case c.Resume || started.Applied:
		started.Runs++
		return started, takeover, nil
	}
	return idempotency.Found{State: idempotency.Unknown}, none, nil
}

// decode returns the answer of a record that is done.
func (r *record) decode() (a idempotency.Answer, err error) {
	if err := a.UnmarshalBinary(r.answer); err != nil {
		return a, fmt.Errorf("%w: %w", errForeign, err)
	}
	return a, nil
}
