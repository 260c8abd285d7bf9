package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

// A handler that served 200 a second stands still for 10 s, with more and more requests in
// it. Once it goes on, a crowd that is refused is told to come back when 200 a second can
// have served it, and not as if the 10 s told how many the handler serves.
func TestRetryAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stands := make(chan struct{}), new(atomic.Bool)
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if stands.Load() {
				<-gate
			}
			time.Sleep(20 * time.Millisecond)
		}, middleware.WithShedding(middleware.Shedding{MaxConcurrency: 40, MaxRetryAfter: 30 * time.Second}))
		var wg sync.WaitGroup
		var longest time.Duration
		var mu sync.Mutex
		send := func() {
			wg.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if !stands.Load() && w.Code == http.StatusServiceUnavailable {
					d, ok := headers.RetryAfterOf(w.Header(), time.Now())
					if !ok {
						t.Error("a refusal does not say when to come back")
					}
					mu.Lock()
					longest = max(longest, d)
					mu.Unlock()
				}
			})
		}
		for range 2000 {
			send()
			time.Sleep(5 * time.Millisecond)
		}
		stands.Store(true)
		for range 100 {
			send()
			time.Sleep(100 * time.Millisecond)
		}
		stands.Store(false)
		close(gate)
		for range 5 { // it is at work again
			send()
			time.Sleep(30 * time.Millisecond)
		}
		for range 400 {
			send()
		}
		wg.Wait()
		if longest < time.Second || longest > 5*time.Second {
			t.Errorf("told to come back after up to %v, want 1 to 5s", longest)
		}
	})
}
