package transport_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A server that says how long requests wait for room engages the guard, which takes what
// waits there off its window. Where attempts have no limit nobody knows which wait is long.
func TestGuardFollowsTheQueueOfTheServer(t *testing.T) {
	for _, tt := range []struct {
		name, queued string
		limit        time.Duration
		engages      bool
	}{
		{"a third of the limit", "400", 1200 * time.Millisecond, true},
		{"less than a quarter of it", "299", 1200 * time.Millisecond, false},
		{"it does not say", "", 1200 * time.Millisecond, false},
		{"it is malformed", "-400", 1200 * time.Millisecond, false},
		{"attempts have no limit", "400", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queued, took := "", 20*time.Millisecond
				farm := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					h := http.Header{}
					if queued != "" {
						h.Set(headers.RequestQueuedMs, queued)
					}
					time.Sleep(took)
					return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody, Request: req}, nil
				})
				clients := guarded(t, farm, 1, transport.WithPolicy(transport.Policy{MaxAttempts: 2, AttemptTimeout: tt.limit}))
				if drive(t, clients, 40, 10); clients[0].GuardState("farm.test").Engaged {
					t.Fatal("engaged without a queue")
				}
				queued, took = tt.queued, 500*time.Millisecond
				engaged := false
				for range 4 {
					drive(t, clients, 40, 1)
					engaged = engaged || clients[0].GuardState("farm.test").Engaged
				}
				if engaged != tt.engages {
					t.Errorf("engaged: %v, want %v", engaged, tt.engages)
				}
			})
		})
	}
}
