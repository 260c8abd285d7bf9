// Package idempotencytest checks that a store keeps the laws of idempotency.Store,
// in the manner of testing/fstest: for stores of one's own.
package idempotencytest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// Run checks the store that open returns. Each check opens one, and uses keys that no
// other check has, so open may return the same store each time. Leases end by the
// store's clock, so some checks wait for up to a second.
//
//   - first: a new key is Started with Runs 1, and other keys are not touched
//   - again: the same claim again is Started too, and is the same run
//   - busy: another claim is Busy while the lease lasts, with what is left of it
//   - mismatch: another fingerprint is a Mismatch, in every state, and changes nothing
//   - done: the answer comes back as it was: lines, bytes, large and empty bodies
//   - tombstone: an answer that was not kept comes back as that
//   - finishedtwice: the same Finish again is no error, and the first answer stays
//   - unknown: a lease that is over without an answer is Unknown, and stays so
//   - ownlease: the owner may renew and finish a lease that is over
//   - resume: with Resume, another run has the key then, and counts
//   - fence: an owner that has lost the key can not renew, finish or release it
//   - renew: a renewed lease lasts from then on
//   - ended: a renewal with Lease 0 ends the lease
//   - release: a released key is new, for another request too; once more is no error
//   - absent: a key without a record can not be renewed or finished
//   - keep: a record that is kept no longer is absent, whatever its state
//   - kept: Renew and Finish keep the record from then on
//   - race: of many claims for a new key one is Started
//   - takeover: of many claims for a lease that is over one is Started
//   - finishrace: a Finish and a takeover at the same time agree on who has the key
//   - cancelled: with a context that is done nothing is half done
//
// A store that is a Transactor is checked for these too:
//
//   - commit: a transaction that commits makes the record done
//   - rollback: one that does not leaves the record as it was
//   - panic: so does a panic, which passes
//   - lost: a run that has lost the key commits nothing, and is told
//   - values: the context of the transaction has the values of the caller's
func Run(t *testing.T, open func(t *testing.T) idempotency.Store) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(newRig(t, open(t))); err != nil {
				t.Error(err)
			}
		})
	}
	for _, c := range txChecks {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, open(t))
			tx, ok := r.store.(idempotency.Transactor)
			if !ok {
				t.Skip("the store is no Transactor")
			}
			if err := c.run(r, tx); err != nil {
				t.Error(err)
			}
		})
	}
}

// checks return errors, so that a test of the suite can see them fail.
var checks = []struct {
	name string
	run  func(*rig) error
}{
	{"first", first},
	{"again", again},
	{"busy", busy},
	{"mismatch", mismatch},
	{"done", done},
	{"tombstone", tombstone},
	{"finishedtwice", finishedTwice},
	{"unknown", unknown},
	{"ownlease", ownLease},
	{"resume", resume},
	{"fence", fence},
	{"renew", renew},
	{"ended", ended},
	{"release", release},
	{"absent", absent},
	{"keep", keep},
	{"kept", kept},
	{"race", race},
	{"takeover", takeover},
	{"finishrace", finishRace},
	{"cancelled", cancelled},
}

const (
	long  = time.Minute           // a lease that does not end during a check
	short = 50 * time.Millisecond // one that does
	day   = 24 * time.Hour
	// patience is how long a check waits for a time of the store's clock.
	patience = 10 * time.Second
)

// A rig is a store and the means to ask it.
type rig struct {
	context.Context
	store idempotency.Store
	key   string // of the record that is checked
}

func newRig(t *testing.T, store idempotency.Store) *rig {
	return &rig{Context: t.Context(), store: store, key: idempotency.RecordKey("idempotencytest", rand.Text())}
}

// claim returns one of a new owner.
func (r *rig) claim(lease time.Duration) idempotency.Claim {
	return idempotency.Claim{
		Hold:        idempotency.Hold{Key: r.key, Owner: rand.Text(), Lease: lease, Keep: day},
		Fingerprint: fingerprint("one"),
	}
}

func resuming(c idempotency.Claim) idempotency.Claim {
	c.Resume = true
	return c
}

func fingerprint(of string) string { return idempotency.RecordKey("fingerprint", of) }

// begin expects the state.
func (r *rig) begin(what string, c idempotency.Claim, want idempotency.State) (idempotency.Found, error) {
	got, err := r.store.Begin(r, c)
	switch {
	case err != nil:
		return got, fmt.Errorf("%s: Begin: %w", what, err)
	case got.State != want:
		return got, fmt.Errorf("%s: Begin found %v, want %v", what, got.State, want)
	case got.State != idempotency.Started && (got.Runs != 0 || got.Applied):
		return got, fmt.Errorf("%s: Begin found %+v, want Runs and Applied only with Started", what, got)
	case got.State != idempotency.Busy && got.Left != 0:
		return got, fmt.Errorf("%s: Begin found %+v, want Left only with Busy", what, got)
	}
	return got, nil
}

// started expects that the claim has the key, and the number of runs.
func (r *rig) started(what string, c idempotency.Claim, runs int) error {
	got, err := r.begin(what, c, idempotency.Started)
	if err == nil && (got.Runs != runs || got.Applied) {
		return fmt.Errorf("%s: Begin found Runs %d, Applied %t; want Runs %d", what, got.Runs, got.Applied, runs)
	}
	return err
}

// finished expects the answer.
func (r *rig) finished(what string, c idempotency.Claim, want idempotency.Answer) error {
	got, err := r.begin(what, c, idempotency.Done)
	if err != nil {
		return err
	}
	return sameAnswer(what, got.Answer, want)
}

// until asks with the claim until the store finds something else than the state.
func (r *rig) until(what string, c idempotency.Claim, not idempotency.State) (idempotency.Found, error) {
	deadline := time.Now().Add(patience)
	for {
		got, err := r.store.Begin(r, c)
		if err != nil || got.State != not {
			return got, err
		}
		if time.Now().After(deadline) {
			return got, fmt.Errorf("%s: %v after %v, want an end", what, not, patience)
		}
		wait(short / 10)
	}
}

// lapse waits until the lease of the run that has the key is over.
func (r *rig) lapse(what string) error {
	got, err := r.until(what, r.claim(short), idempotency.Busy)
	if err == nil && got.State != idempotency.Unknown {
		return fmt.Errorf("%s: Begin found %v after the lease, want %v", what, got.State, idempotency.Unknown)
	}
	return err
}

func wait(d time.Duration) { <-time.After(d) }

// ask returns the error of a method with what was asked.
func ask(what string, got, want error) error {
	if got == want { // nil
		return nil
	}
	if want != nil && isLost(got) {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}
