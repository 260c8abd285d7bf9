package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// A Store keeps one record for each key: who runs its request, until when, and then
// the answer. Package idempotencytest checks the laws below for a store of your own.
//
// Each method is one atomic step, and is safe for concurrent use by many processes.
// All times are those of the store's clock, such as the database's: if processes
// compared leases with their own clocks, one that is ahead would take every key.
// An error other than [ErrLost] says that the store could not do it, or that nobody
// knows whether it did. Then the caller may call again with the same arguments,
// because every method has the same effect once or many times.
//
// A caller does not change what it passed in, and neither side changes the Header or
// the Body of an [Answer]. So a store in memory needs no copy.
type Store interface {
	// Begin claims the key or says why not. The first of these that applies:
	//
	//	1. there is no record, or its Keep has passed    insert it: [Started], Runs 1
	//	2. its fingerprint is not the Claim's            [Mismatch]
	//	3. it is done                                    [Done], with the Answer
	//	4. its owner is the Claim's                      [Started], Runs as before
	//	5. its lease is not over                         [Busy], with what is Left of it
	//	6. the Claim has Resume, or the record is Applied
	//	                                                 new owner and lease: [Started], Runs one more
	//	7. otherwise                                     [Unknown]
	//
	// Only 1, 4 and 6 change the record. Rule 4 is for a Begin whose reply was lost:
	// the same claim again must not be told that the key is busy. In 1, 4 and 6 the
	// lease ends after Claim.Lease, and the record is dropped after Claim.Keep.
	Begin(context.Context, Claim) (Found, error)

	// Renew makes the lease end after Hold.Lease from now, and the record drop after
	// Hold.Keep. A Lease of 0 ends it now: the run is over and nobody knows what it has
	// done. Renew returns [ErrLost], and changes nothing, unless the record exists, is
	// not done and is the owner's. A lease that is over, with the same owner still, is
	// renewed.
	Renew(context.Context, Hold) error

	// Finish makes the record done, with the answer, and drops it after Hold.Keep from
	// now. It returns [ErrLost], and changes nothing, unless the record exists and is
	// the owner's. If this owner has finished it already, the first answer stays and
	// Finish returns nil: the reply of the first call was lost.
	Finish(context.Context, Hold, Answer) error

	// Release deletes the record: nothing has happened, and the next request with this
	// key is the first. It returns nil too if there is no record, and [ErrLost] if the
	// record is done or another owner's.
	Release(context.Context, Hold) error
}

// A Transactor is a Store in the database that the handler writes to. There the
// answer and the effect are committed together or not at all.
type Transactor interface {
	Store

	// InTx begins a transaction and calls run, once and on the caller's goroutine, with
	// a context from which the handler can get the transaction. The context is derived
	// from ctx. If run returns true, InTx stores the answer in this transaction as
	// Finish does, and commits. It returns nil if it has committed.
	//
	// If run returns false, or panics, InTx rolls the transaction back. Then the record
	// is as before, with its lease. InTx returns nil, or lets the panic pass.
	//
	// It returns [ErrLost], and has rolled back, if Finish would have returned that: the
	// effect of a run that has lost its key is never committed. This is the fence. Any
	// other error says that the transaction was rolled back, or could not begin, or that
	// its commit failed and nobody knows; Begin with the same owner then tells which.
	InTx(ctx context.Context, h Hold, run func(context.Context) (a Answer, commit bool)) error
}

// ErrLost says that the key is not the owner's any more: its lease was over and
// another run has it, or it is done, or its record is gone. It is also the cause
// (context.Cause) with which the handler's context is cancelled then.
var ErrLost = errors.New("idempotency: the key has another owner, or is done")

// A Hold names a run: it is what its owner shows to renew, finish or release the key.
type Hold struct {
	// Key is that of the record, as RecordKey makes it: 43 characters of URL-safe base64.
	Key string
	// Owner is a random name of at most 64 letters and digits that this run alone has.
	Owner string
	// Lease is how long the run may go without a sign of life before another may have
	// the key. Stores take whole milliseconds, rounded up.
	Lease time.Duration
	// Keep is how long the record is kept from now. It is longer than Lease.
	Keep time.Duration
}

// A Claim is the wish of one request to run.
type Claim struct {
	Hold
	// Fingerprint tells requests apart that have the same key: 43 characters of URL-safe
	// base64.
	Fingerprint string
	// Resume lets the claim have a key whose owner has let the lease end: the handler can
	// be run again.
	Resume bool
}

// A State is what Begin found. The list is closed.
type State int8

const (
	// Started says that the claim has the key: the handler is to run.
	Started State = iota + 1
	// Busy says that another run has the key, and its lease.
	Busy
	// Done says that the request has been answered.
	Done
	// Mismatch says that the key belongs to another request.
	Mismatch
	// Unknown says that a run had the key and let its lease end. Nobody knows whether
	// it did its work.
	Unknown
)

// String returns the name of the state in lower case.
func (s State) String() string {
	switch s {
	case Started:
		return "started"
	case Busy:
		return "busy"
	case Done:
		return "done"
	case Mismatch:
		return "mismatch"
	case Unknown:
		return "unknown"
	}
	return "invalid"
}

// Found is what Begin says. Fields that the State does not mention are zero.
type Found struct {
	State State
	// Runs counts the runs of the key, this one included. With [Started] only: 1 on the
	// first, more on one that was resumed.
	Runs int
	// Applied says that an earlier run has committed its effect, and lost its answer.
	// With [Started] only, from stores that can know it.
	Applied bool
	// Left is what is left of the lease, more than 0. With [Busy] only.
	Left time.Duration
	// Answer is the one to repeat. With [Done] only.
	Answer Answer
}

// A Record is what a store keeps for a key, for operators who look for one that is
// stuck. Its times are those of the store's clock.
type Record struct {
	Key         string // as [RecordKey] makes it
	Fingerprint string
	// State is Busy while the lease of a run lasts, Unknown after it, and Done with the
	// answer.
	State      State
	Owner      string // of the latest run
	Runs       int
	Applied    bool      // a run has committed its effect, and not yet its answer
	LeaseUntil time.Time // zero if it is done
	KeepUntil  time.Time
	Answer     Answer // if it is done
}

// RecordKey returns the key of the record for what a caller calls key. It is the
// SHA-256 of both, each behind its length, in 43 characters of URL-safe base64. So the
// same key of two callers is two records, and a store holds nothing that a caller
// chose.
func RecordKey(caller, key string) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range [...]string{caller, key} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
