package idempotency_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// serve calls the handler with a context, and returns what it panicked with.
func (k *kit) serve(ctx context.Context, r *http.Request) (resp *http.Response, thrown any) {
	w := httptest.NewRecorder()
	defer func() {
		thrown = recover()
		resp = w.Result()
	}()
	k.handler.ServeHTTP(w, r.WithContext(ctx))
	return nil, nil
}

// The client leaves in the middle. The handler goes on, its answer is stored, and the
// retry gets it.
func TestClientLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	runs := 0
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
		runs++
		leave()
		<-r.Context().Done()
		w.WriteHeader(http.StatusCreated)
	})
	k.serve(ctx, request("k", "{}"))
	if got := k.event().Outcome; got != idempotency.OutcomeFirst {
		t.Errorf("outcome %q, want %q", got, idempotency.OutcomeFirst)
	}
	k.expect("retry", k.do(request("k", "{}")), 201, idempotency.OutcomeReplayed)
	if runs != 1 {
		t.Errorf("the handler ran %d times, want once", runs)
	}
}

// A handler that fails because its client has left says nothing about its work.
func TestInterrupted(t *testing.T) {
	silent := func(http.ResponseWriter) {}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   idempotency.Outcome // of the retry
	}{
		{"500", status(500), idempotency.OutcomeUnknown},
		{"499", status(499), idempotency.OutcomeUnknown},
		{"nothing", silent, idempotency.OutcomeUnknown},
		{"404", status(404), idempotency.OutcomeReplayed},
		{"429", status(429), idempotency.OutcomeInterrupted}, // nothing happened: it is run again
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			first := true
			k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
				leave()
				if !first {
					panic("a second run")
				}
				first = false
				tt.answer(w)
			})
			k.serve(ctx, request("k", "{}"))
			k.serve(t.Context(), request("k", "{}"))
			if got := k.event().Outcome; got != tt.want {
				t.Errorf("outcome of the retry %q, want %q", got, tt.want)
			}
		})
	}
}

// A panic passes, and the outcome is unknown; with Resume the request is run again.
func TestPanic(t *testing.T) {
	for _, thrown := range []any{"thrown", http.ErrAbortHandler} {
		for _, resume := range []bool{false, true} {
			runs := 0
			opts := []idempotency.Option{idempotency.Resume(func(*http.Request) bool { return resume })}
			k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
				if info, _ := idempotency.FromContext(r.Context()); info.Runs == 1 {
					runs++
					w.WriteHeader(200)
					panic(thrown)
				}
				runs++
			}, opts...)
			if _, got := k.serve(t.Context(), request("k", "{}")); got != thrown {
				t.Errorf("%v came through, want %v", got, thrown)
			}
			if got := k.event(); got.Outcome != idempotency.OutcomeInterrupted || got.Runs != 1 {
				t.Errorf("event %+v, want %q", got, idempotency.OutcomeInterrupted)
			}
			if resp := k.do(request("k", "{}")); resume {
				k.expect("resumed", resp, 200, idempotency.OutcomeResumed)
			} else {
				k.expect("retry", resp, 500, idempotency.OutcomeUnknown)
			}
		}
	}
}

// The client has left before the handler is called: nothing is begun, and the retry is
// the first run.
func TestClientLeavesBeforeTheHandler(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	store := &faulty{Store: idempotency.NewMemory(0), begin: func(int) (error, bool) { leave(); return nil, false }}
	handler := new(pay)
	k := newKit(t, store, handler.ServeHTTP)
	resp, _ := k.serve(ctx, request("k", "{}"))
	k.expect("first", resp, 503, idempotency.OutcomeCancelled)
	if got := headers.VerdictOf(resp.Header); got != headers.Retry {
		t.Errorf("verdict %v, want %v", got, headers.Retry)
	}
	k.expect("retry", k.do(request("k", "{}")), 201, idempotency.OutcomeFirst)
}

// A reply of the store is lost. The owner is known by its name, so there is no false
// conflict, and nothing is done twice.
func TestLostReplies(t *testing.T) {
	for _, tt := range []struct {
		name  string
		store *faulty
		calls map[string]int
		want  idempotency.Outcome
		after idempotency.Outcome // of the retry
	}{
		{"of Begin", &faulty{begin: lose(1)}, map[string]int{"Begin": 2, "Finish": 1}, idempotency.OutcomeFirst, idempotency.OutcomeReplayed},
		{"of Begin, twice", &faulty{begin: lose(2)}, map[string]int{"Begin": 2, "Release": 1}, idempotency.OutcomeStoreUnavailable, idempotency.OutcomeFirst},
		{"of Finish", &faulty{finish: lose(1)}, map[string]int{"Begin": 1, "Finish": 2}, idempotency.OutcomeFirst, idempotency.OutcomeReplayed},
		{"of Finish, three times", &faulty{finish: lose(3)}, map[string]int{"Begin": 1, "Finish": 3}, idempotency.OutcomeUnstored, idempotency.OutcomeReplayed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := tt.store
				store.Store = idempotency.NewMemory(0)
				handler := new(pay)
				k := newKit(t, store, handler.ServeHTTP)
				k.do(request("k", "{}"))
				if got := k.event().Outcome; got != tt.want {
					t.Errorf("outcome %q, want %q", got, tt.want)
				}
				for _, method := range []string{"Begin", "Finish", "Release"} {
					if got := store.called(method); got != tt.calls[method] {
						t.Errorf("%s was called %d times, want %d", method, got, tt.calls[method])
					}
				}
				k.do(request("k", "{}"))
				if got := k.event().Outcome; got != tt.after {
					t.Errorf("outcome of the retry %q, want %q", got, tt.after)
				}
				if handler.runs != 1 {
					t.Errorf("the handler ran %d times, want once", handler.runs)
				}
			})
		})
	}
}

// A store that is away at the end does not cost the client the answer. Nobody else is
// told that the request was not begun.
func TestStoreAwayAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: idempotency.NewMemory(0), finish: away}
		k := newKit(t, store, new(pay).ServeHTTP)
		resp := k.do(request("k", "{}"))
		k.expect("first", resp, 201, idempotency.OutcomeUnstored)
		if e := k.event(); !errors.Is(e.Err, errAway) {
			t.Errorf("error %v, want that of the store", e.Err)
		}
		k.expect("at once", k.do(request("k", "{}")), 409, idempotency.OutcomeInProgress)
		time.Sleep(30 * time.Second)
		k.expect("after the lease", k.do(request("k", "{}")), 500, idempotency.OutcomeUnknown)
	})
}

// A store that does not answer is given up.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, hanging{}, new(pay).ServeHTTP)
		start := time.Now()
		resp := k.do(request("k", "{}"))
		k.expect("answer", resp, 503, idempotency.OutcomeStoreUnavailable)
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("it took %v, want at most 6s", took)
		}
	})
}

type hanging struct{}

func (hanging) hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (s hanging) Begin(ctx context.Context, _ idempotency.Claim) (idempotency.Found, error) {
	return idempotency.Found{}, s.hang(ctx)
}
func (s hanging) Renew(ctx context.Context, _ idempotency.Hold) error { return s.hang(ctx) }
func (s hanging) Finish(ctx context.Context, _ idempotency.Hold, _ idempotency.Answer) error {
	return s.hang(ctx)
}
func (s hanging) Release(ctx context.Context, _ idempotency.Hold) error { return s.hang(ctx) }

// What a handler asks about its run.
func TestFromContext(t *testing.T) {
	var info idempotency.Info
	var ok bool
	k := newKit(t, idempotency.NewMemory(0), func(_ http.ResponseWriter, r *http.Request) { info, ok = idempotency.FromContext(r.Context()) })
	k.do(request(`"k"`, "{}"))
	if !ok || info.Key != "k" || info.Runs != 1 || info.Applied || info.Hold.Key != idempotency.RecordKey("ann", "k") || info.Hold.Owner == "" {
		t.Errorf("got %+v, %t", info, ok)
	}
	if e := k.event(); e.Record != info.Hold.Key || e.Method != "POST" || e.Runs != 1 {
		t.Errorf("event %+v, want the record %s", e, info.Hold.Key)
	}
	k.do(request("", "{}"))
	if ok {
		t.Errorf("a request without a key has the Info %+v", info)
	}
}

// Calls of one run have keys of their own, the same ones when it is resumed.
func TestDerive(t *testing.T) {
	var keys []string
	k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"charge", "mail"} {
			keys = append(keys, idempotency.Derive(r.Context(), name))
		}
		if len(keys) == 2 {
			panic(http.ErrAbortHandler)
		}
	}, idempotency.Resume(everything))
	bob := request("k", "{}")
	bob.Header.Set("X-Caller", "bob")
	for _, r := range []*http.Request{request("k", "{}"), request("k", "{}"), request("l", "{}"), bob} {
		k.serve(t.Context(), r)
	}
	if !slices.Equal(keys[:2], keys[2:4]) {
		t.Errorf("the runs of one request have the keys %q, then %q", keys[:2], keys[2:4])
	}
	others := slices.Concat(keys[:2], keys[4:])
	slices.Sort(others)
	if len(slices.Compact(others)) != 6 {
		t.Errorf("keys %q, want them to differ by name, key and caller", keys)
	}
	one, two := idempotency.Derive(t.Context(), "charge"), idempotency.Derive(t.Context(), "charge")
	if one == two || one == "" {
		t.Errorf("outside of a run: %q, then %q", one, two)
	}
}
