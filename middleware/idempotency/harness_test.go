package idempotency_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func everything(*http.Request) bool { return true }

// caller is the scope of the tests: who the header says, and nobody without it.
func caller(r *http.Request) (string, bool) {
	name := r.Header.Get("X-Caller")
	return name, name != ""
}

// A kit is a handler with a middleware and what its observer saw.
type kit struct {
	t       testing.TB
	handler http.Handler

	mu     sync.Mutex // guards what follows
	events []idempotency.Event
}

func newKit(t testing.TB, store idempotency.Store, handler http.HandlerFunc, opts ...idempotency.Option) *kit {
	t.Helper()
	k := &kit{t: t}
	wrap, err := idempotency.New(store, caller, append(opts, idempotency.WithObserver(idempotency.Observer{OnKey: k.see}))...)
	if err != nil {
		t.Fatal(err)
	}
	k.handler = wrap(handler)
	return k
}

func (k *kit) see(_ context.Context, e idempotency.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, e)
}

// event returns the latest.
func (k *kit) event() idempotency.Event {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.events) == 0 {
		k.t.Fatal("no event")
	}
	return k.events[len(k.events)-1]
}

// seen returns the number of events.
func (k *kit) seen() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.events)
}

// request returns a POST of ann's. Pairs of header names and values are added.
func request(key, body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/payments?currency=EUR", strings.NewReader(body))
	r.Header.Set("X-Caller", "ann")
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func (k *kit) do(r *http.Request) *http.Response {
	k.t.Helper()
	w := httptest.NewRecorder()
	k.handler.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// expect checks status and outcome.
func (k *kit) expect(what string, resp *http.Response, status int, outcome idempotency.Outcome) {
	k.t.Helper()
	if e := k.event(); resp.StatusCode != status || e.Outcome != outcome {
		k.t.Errorf("%s: got %d and the outcome %q (%v), want %d and %q", what, resp.StatusCode, e.Outcome, e.Err, status, outcome)
	}
}

// A faulty store fails where a hook says so. Hooks are called with the number of the
// call of that method, from 1. If one returns a hook's error after is true, the call is
// made first: its reply is lost.
type faulty struct {
	idempotency.Store
	begin, renew, finish, release func(call int) (err error, after bool)

	mu    sync.Mutex // guards calls
	calls map[string]int
}

var errAway = errors.New("the store is away")

func away(int) (error, bool) { return errAway, false }

// lose loses the replies of the first n calls.
func lose(n int) func(int) (error, bool) {
	return func(call int) (error, bool) {
		if call <= n {
			return errAway, true
		}
		return nil, false
	}
}

func (f *faulty) ask(method string, hook func(int) (error, bool), call func() error) error {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	f.calls[method]++
	n := f.calls[method]
	f.mu.Unlock()
	if hook == nil {
		return call()
	}
	err, after := hook(n)
	if err == nil || after {
		if callErr := call(); err == nil {
			return callErr
		}
	}
	return err
}

func (f *faulty) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *faulty) Begin(ctx context.Context, c idempotency.Claim) (found idempotency.Found, err error) {
	err = f.ask("Begin", f.begin, func() error { found, err = f.Store.Begin(ctx, c); return err })
	if err != nil {
		found = idempotency.Found{}
	}
	return found, err
}

func (f *faulty) Renew(ctx context.Context, h idempotency.Hold) error {
	return f.ask("Renew", f.renew, func() error { return f.Store.Renew(ctx, h) })
}

func (f *faulty) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	return f.ask("Finish", f.finish, func() error { return f.Store.Finish(ctx, h, a) })
}

func (f *faulty) Release(ctx context.Context, h idempotency.Hold) error {
	return f.ask("Release", f.release, func() error { return f.Store.Release(ctx, h) })
}

// A ledger is a database in memory: effects that are written in a transaction of it
// count once that is committed, together with the answer.
type ledger struct {
	idempotency.Store
	commit func(call int) (err error, after bool) // as the hooks of faulty

	mu      sync.Mutex // guards what follows
	effects []string
	commits int
}

type draftKey struct{}

func (l *ledger) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	var draft []string
	a, commit := run(context.WithValue(ctx, draftKey{}, &draft))
	if !commit {
		return nil
	}
	if ctx.Err() != nil { // as database/sql rolls back
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits++
	var err error
	after := false
	if l.commit != nil {
		err, after = l.commit(l.commits)
	}
	if err != nil && !after {
		return err
	}
	if err := l.Finish(ctx, h, a); err != nil {
		return err
	}
	l.effects = append(l.effects, draft...)
	return err
}

// write adds an effect to the transaction of ctx.
func write(ctx context.Context, effect string) bool {
	draft, ok := ctx.Value(draftKey{}).(*[]string)
	if ok {
		*draft = append(*draft, effect)
	}
	return ok
}

func (l *ledger) written() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.effects...)
}

// claims sees what is claimed, and says that the store is away, so that nothing is run.
type claims struct {
	idempotency.Store
	claim idempotency.Claim
}

func (c *claims) Begin(_ context.Context, claim idempotency.Claim) (idempotency.Found, error) {
	c.claim = claim
	return idempotency.Found{}, errAway
}
