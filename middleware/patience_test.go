package middleware_test

import (
	"context"
	"net/http/httptest"
	"strings"
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

// Only a client's own deadline for the call says that the call is over. One that the
// server set, or a handler further out, says nothing about that.
func TestVerdictOfADeadlineInTheQueue(t *testing.T) {
	const set = 300 * time.Millisecond
	for _, tt := range []struct {
		name      string
		deadlines middleware.Deadlines
		lines     []string
		outer     bool
		status    int
		again     string // X-Should-Retry
	}{
		{"the server's own", middleware.Deadlines{Max: set}, nil, false, 503, "true"},
		{"the server's default", middleware.Deadlines{Default: set}, nil, false, 503, "true"},
		{"the server's own, before that of the call", middleware.Deadlines{Max: set}, []string{"Request-Timeout-Ms: 60000"}, false, 503, "true"},
		{"the server's own, a little before that of the call", middleware.Deadlines{Max: set}, []string{"Request-Timeout-Ms: 310"}, false, 503, "false"},
		{"that of the call", middleware.Deadlines{Max: time.Minute}, []string{"Request-Timeout-Ms: 300"}, false, 504, "false"},
		{"that of the attempt", middleware.Deadlines{Max: time.Minute}, []string{"Request-Attempt-Timeout-Ms: 300"}, false, 503, "true"},
		{"that of the call, of which the server makes nothing", middleware.Deadlines{}, []string{"Connect-Timeout-Ms: 300"}, false, 504, "false"},
		{"that of a handler further out", middleware.Deadlines{}, nil, true, 504, ""},
		{"that of a handler further out, before that of the call", middleware.Deadlines{}, []string{"Request-Timeout-Ms: 60000"}, true, 504, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, middleware.WithShedding(middleware.Shedding{}), middleware.WithDeadlines(tt.deadlines))
				c.send("holder?2s", "Request-Timeout-Ms: 60000")
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tt.outer {
					ctx, cancel = context.WithTimeout(ctx, set)
				}
				defer cancel()
				r, w := httptest.NewRequestWithContext(ctx, "GET", "/waiter", nil), httptest.NewRecorder()
				for _, line := range tt.lines {
					name, value, _ := strings.Cut(line, ": ")
					r.Header.Set(name, value)
				}
				c.ServeHTTP(w, r)
				again, after := w.Header().Get("X-Should-Retry"), w.Header().Get("Retry-After")
				if w.Code != tt.status || again != tt.again || (after != "") != (tt.status == 503) {
					t.Errorf("%d, X-Should-Retry %q, Retry-After %q; want %d, %q", w.Code, again, after, tt.status, tt.again)
				}
				if e := c.seen()[0]; e.Status != tt.status || e.QueueWait == 0 {
					t.Errorf("%+v, want a wait and %d", e, tt.status)
				}
				c.wg.Wait()
			})
		})
	}
}
