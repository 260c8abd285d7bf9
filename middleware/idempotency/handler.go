package idempotency

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// New returns the middleware. scope names the caller: two callers never share a key,
// so the name must be one that another caller can not have, such as the id of an
// account. If scope returns false, the request gets 401. [ByAuthorization] is a scope.
//
// The middleware goes inside authentication, or what it keeps for one caller would be
// given to another, and inside layers that compress, shed load or set headers for one
// client. What is inside of it is kept and repeated.
//
// The error of New joins all mistakes in the options. New starts no goroutine. Like
// [http.Handle], the middleware panics if the handler is nil.
func New(store Store, scope func(*http.Request) (caller string, ok bool), opts ...Option) (func(http.Handler) http.Handler, error) {
	m := &machine{config: defaults()}
	m.store, m.scope = store, scope
	for _, opt := range opts {
		if opt != nil {
			opt(&m.config)
		}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	m.keepFields()
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("idempotency: nil handler")
		}
		return &handler{machine: m, next: next}
	}, nil
}

// machine is what the handlers of one New share.
type machine struct {
	config
	usual atomic.Int64 // how long a run takes, smoothed; ns, 0 if it is not known
}

type handler struct {
	*machine
	next http.Handler
}

// An exchange is one request with a key and its response.
type exchange struct {
	*handler
	writer  http.ResponseWriter
	request *http.Request
	key     string // as the client sent it
	claim   Claim
	started time.Time
	event   Event
}

// ServeHTTP passes everything but a POST or PATCH with a key, or that needs one.
// PUT and DELETE have the same effect once or twice anyway (RFC 9110 section 9.2.2).
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost && r.Method != http.MethodPatch {
		h.next.ServeHTTP(w, r)
		return
	}
	if !hasKey(r.Header) && (h.required == nil || !h.required(r)) {
		h.next.ServeHTTP(w, r)
		return
	}
	x := &exchange{handler: h, writer: w, request: r, started: time.Now()}
	defer x.observe()
	x.serve()
}

// serve runs the handler, or says why not.
func (x *exchange) serve() {
	var ok bool
	if !hasKey(x.request.Header) {
		x.refuse(OutcomeKeyMissing)
		return
	}
	if x.key, ok = keyOf(x.request.Header); !ok {
		x.refuse(OutcomeKeyInvalid)
		return
	}
	caller, ok := x.scope(x.request)
	if !ok {
		x.refuse(OutcomeNoCaller)
		return
	}
	fingerprint, problem := x.read()
	if problem != "" {
		x.refuse(problem)
		return
	}
	tx := x.tx != nil && x.inTx(x.request)
	x.claim = Claim{
		Hold:        Hold{Key: RecordKey(caller, x.key), Owner: rand.Text(), Lease: x.lease, Keep: x.keep},
		Fingerprint: fingerprint,
		Resume:      tx || x.resume != nil && x.resume(x.request),
	}
	x.event.Record = x.claim.Key
	found, err := x.await()
	switch {
	case err != nil:
		x.storeFailed(err, tx)
	case found.State != Started:
		x.decline(found)
	case x.request.Context().Err() != nil:
		// The handler has not been called, so nothing is lost by another try.
		x.release()
		x.refuse(OutcomeCancelled)
	case tx:
		x.runInTx(found)
	default:
		x.run(found)
	}
}

// storeFailed answers a request whose claim could not be made.
func (x *exchange) storeFailed(err error, tx bool) {
	x.event.Err = err
	if x.failOpen && !tx {
		x.event.Outcome = OutcomeUnguarded
		x.next.ServeHTTP(x.writer, x.request)
		return
	}
	x.refuse(OutcomeStoreUnavailable)
}

// decline answers a request that is not to run.
func (x *exchange) decline(found Found) {
	switch found.State {
	case Done:
		x.replay(found.Answer)
	case Busy:
		x.busy(found.Left)
	case Mismatch:
		x.refuse(OutcomeKeyReused)
	case Unknown:
		x.refuse(OutcomeUnknown)
	default:
		x.event.Err = errForeign
		x.refuse(OutcomeStoreUnavailable)
	}
}

// busy answers a duplicate. It should come back when a run has usually ended. One
// that takes longer than that may take as long again, but not longer than its lease.
func (x *exchange) busy(left time.Duration) {
	usual := time.Duration(x.usual.Load())
	if usual == 0 {
		usual = time.Second
	}
	wait := max(min(left, max(usual, x.lease-left)), 10*time.Millisecond)
	headers.SetRetryAfter(x.writer.Header(), wait)
	x.refuse(OutcomeInProgress)
}

// took notes how long a run has taken.
func (m *machine) took(d time.Duration) {
	if before := m.usual.Load(); before != 0 {
		d = time.Duration(before) + (d-time.Duration(before))/8
	}
	m.usual.Store(max(1, int64(d)))
}

// detached returns a context for a call of the store that must be made although
// the client has left.
func (x *exchange) detached(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.request.Context()), limit)
}
