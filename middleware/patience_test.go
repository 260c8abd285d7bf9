package middleware_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// A request waits for room as long as its client said it would, for the attempt and
// for the call, less what the work takes. Only the end of the call is final.
func TestPatienceOfTheClient(t *testing.T) {
	const work = 20 * time.Millisecond
	for _, tt := range []struct {
		name   string
		lines  []string
		most   time.Duration // MaxWait
		waits  time.Duration // 0: it is served, after two seconds
		status int
		again  string // X-Should-Retry
	}{
		{"says nothing", nil, 0, time.Second, 503, "true"},
		{"the attempt is shorter", []string{"Request-Attempt-Timeout-Ms: 120"}, 0, 100 * time.Millisecond, 503, "true"},
		{"the attempt is longer", []string{"Request-Attempt-Timeout-Ms: 900"}, 0, 880 * time.Millisecond, 503, "true"},
		{"the attempt lasts", []string{"Request-Attempt-Timeout-Ms: 3000"}, 0, 0, 200, ""},
		{"a proxy's attempt", []string{"X-Envoy-Expected-Rq-Timeout-Ms: 3000"}, 0, 0, 200, ""},
		{"an SDK's attempt", []string{"X-Stainless-Timeout: 0.5"}, 0, 480 * time.Millisecond, 503, "true"},
		{"the attempt has no time", []string{"Request-Attempt-Timeout-Ms: 10"}, 0, 1, 503, "true"},
		{"the attempt is over", []string{"Request-Attempt-Timeout-Ms: 0"}, 0, 1, 503, "true"},
		{"the call is shorter", []string{"Request-Timeout-Ms: 500", "Request-Attempt-Timeout-Ms: 3000"}, 0, 480 * time.Millisecond, 504, "false"},
		{"the call is longer", []string{"Request-Timeout-Ms: 3000", "Request-Attempt-Timeout-Ms: 500"}, 0, 480 * time.Millisecond, 503, "true"},
		{"the call lasts", []string{"Grpc-Timeout: 3S"}, 0, 0, 200, ""},
		{"not longer than MaxWait", []string{"Request-Attempt-Timeout-Ms: 3000"}, 300 * time.Millisecond, 300 * time.Millisecond, 503, "true"},
		{"Prefer is no word on that", []string{"Prefer: wait=3"}, 0, time.Second, 503, "true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, middleware.WithShedding(middleware.Shedding{MaxWait: tt.most}), middleware.WithDeadlines(middleware.Deadlines{}))
				for range 60 { // from which the latency is learnt
					c.send("work?" + work.String())
					c.wg.Wait()
				}
				c.send("holder?2s")
				start := time.Now()
				w := c.send("waiter", tt.lines...)
				c.wg.Wait()
				e := c.seen()[60]
				if tt.waits == 0 {
					e = c.seen()[61]
				}
				took := max(e.QueueWait, 1)
				if tt.waits == 0 && time.Since(start) < 2*time.Second || tt.waits != 0 && took != tt.waits {
					t.Errorf("waited %v, want %v", e.QueueWait, tt.waits)
				}
				if again := w.Header().Get("X-Should-Retry"); w.Code != tt.status || again != tt.again {
					t.Errorf("%d, X-Should-Retry %q; want %d, %q", w.Code, again, tt.status, tt.again)
				}
			})
		})
	}
}
