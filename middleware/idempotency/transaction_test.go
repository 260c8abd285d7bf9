package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/idempotencytest"
)

func TestLedgerConforms(t *testing.T) {
	idempotencytest.Run(t, func(*testing.T) idempotency.Store { return &ledger{Store: idempotency.NewMemory(0)} })
}

// charge writes an effect in the transaction and answers with a status.
func charge(t *testing.T, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !write(r.Context(), "charge") {
			t.Error("the handler has no transaction")
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "charged with %d", status)
	}
}

// The effect and the answer are committed together or not at all.
func TestInTransaction(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		effects int
		first   idempotency.Outcome
		again   idempotency.Outcome
	}{
		{"success", 201, 1, idempotency.OutcomeFirst, idempotency.OutcomeReplayed},
		{"refusal", 422, 1, idempotency.OutcomeFirst, idempotency.OutcomeReplayed},
		{"failure", 500, 0, idempotency.OutcomeReleased, idempotency.OutcomeReleased},
		{"too many", 429, 0, idempotency.OutcomeReleased, idempotency.OutcomeReleased},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &ledger{Store: idempotency.NewMemory(0)}
			k := newKit(t, store, charge(t, tt.status), idempotency.InTransaction(everything))
			for _, want := range []idempotency.Outcome{tt.first, tt.again} {
				resp := k.do(request("k", "{}"))
				k.expect(tt.name, resp, tt.status, want)
				if got, want := bodyOf(t, resp), fmt.Sprintf("charged with %d", tt.status); got != want {
					t.Errorf("body %q, want %q", got, want)
				}
			}
			if got := len(store.written()); got != tt.effects {
				t.Errorf("%d effects, want %d", got, tt.effects)
			}
		})
	}
}

// Requests that do not match have no transaction.
func TestNotInTransaction(t *testing.T) {
	store := &ledger{Store: idempotency.NewMemory(0)}
	k := newKit(t, store, func(_ http.ResponseWriter, r *http.Request) {
		if write(r.Context(), "charge") {
			t.Error("the handler has a transaction")
		}
	}, idempotency.InTransaction(func(*http.Request) bool { return false }))
	k.expect("first", k.do(request("k", "{}")), 200, idempotency.OutcomeFirst)
}

// The store breaks the transaction off. Whether it was committed is for the store to
// say.
func TestCommitFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		after   bool // the commit was made, and its reply lost
		status  int
		outcome idempotency.Outcome
	}{
		{"rolled back", false, 503, idempotency.OutcomeBusy},
		{"committed", true, 201, idempotency.OutcomeReplayed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			failed := errors.New("serialization failure")
			store := &ledger{Store: idempotency.NewMemory(0), commit: func(call int) (error, bool) {
				if call == 1 {
					return failed, tt.after
				}
				return nil, false
			}}
			k := newKit(t, store, charge(t, 201), idempotency.InTransaction(everything))
			resp := k.do(request("k", "{}"))
			k.expect("first", resp, tt.status, tt.outcome)
			if e := k.event(); !errors.Is(e.Err, failed) {
				t.Errorf("error %v, want that of the commit", e.Err)
			}
			if !tt.after {
				if _, waits := headers.RetryAfterOf(resp.Header, time.Now()); !waits || headers.VerdictOf(resp.Header) != headers.Retry {
					t.Errorf("header %v, want it to say that the request may be sent again", resp.Header)
				}
			}
			if got := k.do(request("k", "{}")); got.StatusCode != 201 {
				t.Errorf("retry: %d, want 201", got.StatusCode)
			}
			if got := len(store.written()); got != 1 {
				t.Errorf("%d effects, want 1", got)
			}
		})
	}
}

// A transaction that can not begin is no run.
func TestTransactionCanNotBegin(t *testing.T) {
	store := noTx{idempotency.NewMemory(0)}
	k := newKit(t, store, charge(t, 201), idempotency.InTransaction(everything))
	resp := k.do(request("k", "{}"))
	k.expect("first", resp, 503, idempotency.OutcomeStoreUnavailable)
	if found, err := store.Begin(t.Context(), idempotency.Claim{Hold: idempotency.Hold{Key: idempotency.RecordKey("ann", "k"), Owner: "o", Lease: 1, Keep: 2}}); err != nil || found.State != idempotency.Started {
		t.Errorf("the key is %v, %v; want it free", found.State, err)
	}
}

type noTx struct{ idempotency.Store }

func (noTx) InTx(context.Context, idempotency.Hold, func(context.Context) (idempotency.Answer, bool)) error {
	return errAway
}

// With the store away, a request that needs a transaction is not let through.
func TestInTransactionIsNotOpen(t *testing.T) {
	store := &awayLedger{}
	k := newKit(t, store, charge(t, 201), idempotency.InTransaction(everything), idempotency.FailOpen())
	k.expect("first", k.do(request("k", "{}")), 503, idempotency.OutcomeStoreUnavailable)
}

type awayLedger struct{ ledger }

func (*awayLedger) Begin(context.Context, idempotency.Claim) (idempotency.Found, error) {
	return idempotency.Found{}, errAway
}
func (*awayLedger) Release(context.Context, idempotency.Hold) error { return errAway }

// A panic rolls back and frees the key: nothing has happened.
func TestPanicInTransaction(t *testing.T) {
	store := &ledger{Store: idempotency.NewMemory(0)}
	runs := 0
	k := newKit(t, store, func(w http.ResponseWriter, r *http.Request) {
		runs++
		write(r.Context(), "charge")
		if runs == 1 {
			panic("thrown")
		}
	}, idempotency.InTransaction(everything))
	if _, got := k.serve(t.Context(), request("k", "{}")); got != "thrown" {
		t.Errorf("%v came through, want what was thrown", got)
	}
	if got := k.event().Outcome; got != idempotency.OutcomeInterrupted {
		t.Errorf("outcome %q, want %q", got, idempotency.OutcomeInterrupted)
	}
	k.expect("retry", k.do(request("k", "{}")), 200, idempotency.OutcomeFirst)
	if got := len(store.written()); got != 1 {
		t.Errorf("%d effects, want 1", got)
	}
}

// The client leaves. A handler that does not mind commits, and one that fails because
// of it has done nothing.
func TestClientLeavesInTransaction(t *testing.T) {
	for _, tt := range []struct {
		status  int // 0: the handler writes nothing
		effects int
		want    idempotency.Outcome
	}{{201, 1, idempotency.OutcomeFirst}, {500, 0, idempotency.OutcomeReleased}, {499, 0, idempotency.OutcomeReleased}, {0, 0, idempotency.OutcomeReleased}} {
		ctx, leave := context.WithCancel(t.Context())
		store := &ledger{Store: idempotency.NewMemory(0)}
		k := newKit(t, store, func(w http.ResponseWriter, r *http.Request) {
			leave()
			<-r.Context().Done()
			write(r.Context(), "charge")
			if tt.status != 0 {
				w.WriteHeader(tt.status)
			}
		}, idempotency.InTransaction(everything))
		k.serve(ctx, request("k", "{}"))
		if got := k.event().Outcome; got != tt.want {
			t.Errorf("%d: outcome %q, want %q", tt.status, got, tt.want)
		}
		if got := len(store.written()); got != tt.effects {
			t.Errorf("%d: %d effects, want %d", tt.status, got, tt.effects)
		}
	}
}

// The fence: a run that has lost its key commits nothing. Its client gets the answer of
// the run that has it, or is told that this is running.
func TestKeyIsLostInTransaction(t *testing.T) {
	for _, finished := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &ledger{Store: idempotency.NewMemory(0)}
			k := newKit(t, store, func(w http.ResponseWriter, r *http.Request) {
				write(r.Context(), "stale")
				info, _ := idempotency.FromContext(r.Context())
				steal(t, store, info, func(t *testing.T, s idempotency.Store, h idempotency.Hold) {
					if !finished {
						return
					}
					if err := s.Finish(t.Context(), h, idempotency.Answer{Status: 202}); err != nil {
						t.Error(err)
					}
				})
				w.WriteHeader(201)
			}, idempotency.InTransaction(everything))
			resp := k.do(request("k", "{}"))
			if finished {
				k.expect("stale run", resp, 202, idempotency.OutcomeReplayed)
			} else {
				k.expect("stale run", resp, 409, idempotency.OutcomeInProgress)
			}
			if got := store.written(); len(got) > 0 {
				t.Errorf("effects %q, want none", got)
			}
		})
	}
}

// A request in a transaction is resumed whatever Resume says: what was not committed
// did not happen.
func TestInTransactionResumes(t *testing.T) {
	store := &ledger{Store: idempotency.NewMemory(0)}
	k := newKit(t, store, charge(t, 201), idempotency.InTransaction(everything))
	claim(t, &faulty{Store: store}, "k", "{}", 0)
	k.expect("retry", k.do(request("k", "{}")), 201, idempotency.OutcomeResumed)
	if got := store.written(); !slices.Equal(got, []string{"charge"}) {
		t.Errorf("effects %q, want one", got)
	}
}

// The handler can not flush before the commit, and an answer that is too large to keep
// is sent whole after it.
func TestAnswersInTransaction(t *testing.T) {
	store := &ledger{Store: idempotency.NewMemory(0)}
	const size = 3000
	k := newKit(t, store, func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); ok {
			t.Error("the writer is a Flusher")
		}
		w.Write(make([]byte, 1000))
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Flush: %v, want %v", err, errors.ErrUnsupported)
		}
		w.Write(make([]byte, size-1000))
		if len(store.written()) > 0 {
			t.Error("committed before the handler returned")
		}
	}, idempotency.InTransaction(everything), idempotency.MaxBody(1000, 1000))
	resp := k.do(request("k", "{}"))
	k.expect("first", resp, 200, idempotency.OutcomeUnkept)
	if got := len(bodyOf(t, resp)); got != size {
		t.Errorf("%d bytes, want %d", got, size)
	}
	k.expect("again", k.do(request("k", "{}")), 409, idempotency.OutcomeNotKept)
}
