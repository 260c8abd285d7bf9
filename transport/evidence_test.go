package transport_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// Where retries help, the budget lets every call have them; where they do not,
// it soon lets nobody.
func TestEvidence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fail    float64
		hang    float64
		success float64 // of the calls, at least
		extra   float64 // attempts per call beyond the first, at most
	}{
		{name: "no errors", success: 1, extra: 0.001},
		{name: "5 % errors", fail: 0.05, success: 0.9995, extra: 0.07},
		{name: "20 % errors", fail: 0.2, success: 0.997, extra: 0.27},
		{name: "5 % hangs", hang: 0.05, success: 0.9995, extra: 0.07},
		{name: "nothing works", fail: 1, extra: 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(50, exponential(20*time.Millisecond))
				defer f.close()
				var sent atomic.Int64
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent.Add(1)
					switch x := rand.Float64(); {
					case x < tt.fail:
						return nil, errors.New("connection reset")
					case x < tt.fail+tt.hang:
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					return f.RoundTrip(req)
				})
				evidence, err := budget.PerService(budget.Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true}, 10)
				if err != nil {
					t.Fatal(err)
				}
				clients := guarded(t, base, 5, transport.WithBudget(evidence))
				began, succeeded := drive(t, clients, 150, 200) // so that chance moves the shares by less than 0.0003
				calls, good := 0, 0
				for i := range began {
					calls += began[i]
					good += succeeded[i]
				}
				success, extra := float64(good)/float64(calls), float64(sent.Load())/float64(calls)-1
				t.Logf("success %.4f, extra %.4f", success, extra)
				if success < tt.success || extra > tt.extra {
					t.Errorf("success %.4f with %.3f more attempts, want at least %v with at most %v", success, extra, tt.success, tt.extra)
				}
			})
		})
	}
}
