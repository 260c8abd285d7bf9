package idempotency_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A run that goes on keeps its key for as long as it takes.
func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, idempotency.NewMemory(0), func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Minute) },
			idempotency.Resume(everything))
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.do(request("k", "{}"))
		}()
		for range 19 {
			time.Sleep(30 * time.Second)
			k.expect("duplicate", k.do(request("k", "{}")), 409, idempotency.OutcomeInProgress)
		}
		<-done
		k.expect("run", &http.Response{StatusCode: 200}, 200, idempotency.OutcomeFirst)
		k.expect("retry", k.do(request("k", "{}")), 200, idempotency.OutcomeReplayed)
	})
}

// A renewal that fails is tried again: the lease is three times as long as the pause.
func TestRenewalFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: idempotency.NewMemory(0), renew: func(call int) (error, bool) {
			if call%2 == 1 {
				return errAway, false
			}
			return nil, false
		}}
		k := newKit(t, store, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(5 * time.Minute):
			case <-r.Context().Done():
				t.Errorf("the handler was cancelled: %v", context.Cause(r.Context()))
			}
		})
		k.expect("run", k.do(request("k", "{}")), 200, idempotency.OutcomeFirst)
		if got := store.called("Renew"); got < 29 {
			t.Errorf("%d renewals in 5 minutes, want one each 10 s", got)
		}
	})
}

// A run that has lost its key is told so, and its answer gives way to the other one.
func TestKeyIsLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		other  func(t *testing.T, s idempotency.Store, h idempotency.Hold) // what the other run does
		answer int                                                         // of the run that lost it
		status int
		want   idempotency.Outcome
		after  idempotency.Outcome
	}{
		{"to a run that has finished", func(t *testing.T, s idempotency.Store, h idempotency.Hold) {
			if err := s.Finish(t.Context(), h, idempotency.Answer{Status: 202}); err != nil {
				t.Error(err)
			}
		}, 201, 202, idempotency.OutcomeReplayed, idempotency.OutcomeReplayed},
		{"to a run that goes on", func(*testing.T, idempotency.Store, idempotency.Hold) {}, 201, 201, idempotency.OutcomeLost, idempotency.OutcomeInProgress},
		{"to a run that goes on, and failed", func(*testing.T, idempotency.Store, idempotency.Hold) {}, 500, 409, idempotency.OutcomeInProgress, idempotency.OutcomeInProgress},
		{"to a run that has done nothing", func(t *testing.T, s idempotency.Store, h idempotency.Hold) {
			if err := s.Release(t.Context(), h); err != nil {
				t.Error(err)
			}
		}, 201, 201, idempotency.OutcomeFirst, idempotency.OutcomeReplayed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faulty{Store: idempotency.NewMemory(0)}
				k := newKit(t, store, func(w http.ResponseWriter, r *http.Request) {
					info, _ := idempotency.FromContext(r.Context())
					steal(t, store.Store, info, tt.other)
					<-r.Context().Done()
					if got := context.Cause(r.Context()); got != idempotency.ErrLost {
						t.Errorf("the handler was cancelled by %v, want %v", got, idempotency.ErrLost)
					}
					w.WriteHeader(tt.answer)
				})
				k.expect("run", k.do(request("k", "{}")), tt.status, tt.want)
				if got := store.called("Finish"); got > 2 {
					t.Errorf("Finish was called %d times: a key that is lost stays so", got)
				}
				k.do(request("k", "{}"))
				if got := k.event().Outcome; got != tt.after {
					t.Errorf("outcome of the retry %q, want %q", got, tt.after)
				}
			})
		})
	}
}

// steal gives the key to another run.
func steal(t *testing.T, s idempotency.Store, info idempotency.Info, then func(*testing.T, idempotency.Store, idempotency.Hold)) {
	t.Helper()
	h := info.Hold
	h.Lease = 0
	if err := s.Renew(t.Context(), h); err != nil {
		t.Error(err)
	}
	c := idempotency.Claim{Hold: info.Hold, Fingerprint: fingerprintOf(t, request("k", "{}")), Resume: true}
	c.Owner = "thief"
	if found, err := s.Begin(t.Context(), c); err != nil || found.State != idempotency.Started {
		t.Errorf("the thief found %v, %v", found.State, err)
	}
	then(t, s, c.Hold)
}

func fingerprintOf(t *testing.T, r *http.Request) string {
	t.Helper()
	spy := &claims{Store: idempotency.NewMemory(0)}
	newKit(t, spy, func(http.ResponseWriter, *http.Request) {}).do(r)
	return spy.claim.Fingerprint
}

// The lease is renewed although the client has left: the run goes on.
func TestLeaseIsRenewedWithoutTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
			leave()
			time.Sleep(2 * time.Minute)
			w.WriteHeader(201)
		}, idempotency.Resume(everything))
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.serve(ctx, request("k", "{}"))
		}()
		time.Sleep(time.Minute)
		k.expect("duplicate", k.do(request("k", "{}")), 409, idempotency.OutcomeInProgress)
		<-done
		k.expect("retry", k.do(request("k", "{}")), 201, idempotency.OutcomeReplayed)
	})
}

// An answer that gives way to another one leaves nothing in the header, and what a
// layer outside has set stays.
func TestHeaderOfAnotherAnswer(t *testing.T) {
	memory := idempotency.NewMemory(0)
	k := newKit(t, memory, func(w http.ResponseWriter, r *http.Request) {
		info, _ := idempotency.FromContext(r.Context())
		steal(t, memory, info, func(t *testing.T, s idempotency.Store, h idempotency.Hold) {
			if err := s.Finish(t.Context(), h, idempotency.Answer{Status: 202}); err != nil {
				t.Error(err)
			}
		})
		w.Header().Set("Location", "/mine")
		w.Header().Set("X-Outside", "changed")
		w.WriteHeader(201)
	})
	w := httptest.NewRecorder()
	w.Header().Set("X-Outside", "kept")
	k.handler.ServeHTTP(w, request("k", "{}"))
	if w.Code != 202 || w.Header().Get("Location") != "" || w.Header().Get("X-Outside") != "kept" {
		t.Errorf("got %d with %v, want 202 and the header of the layer outside", w.Code, w.Header())
	}
}
