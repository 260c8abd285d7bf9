package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// lateBody is a body that comes some time after its header, as over a slow line.
type lateBody struct {
	ctx   context.Context
	after time.Duration
}

func (b *lateBody) Read([]byte) (int, error) {
	select {
	case <-time.After(b.after):
		return 0, io.EOF
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (b *lateBody) Close() error { return nil }

// A handler with 20 workers for 100 ms of work is asked for more by clients whose
// bodies come late. Slots are lent meanwhile. If they were lent to all comers, they
// would all be in the handler when the bodies are there, and be answered too late.
func TestLateBodiesUnderOverload(t *testing.T) {
	const capacity = 200
	for _, tt := range []struct {
		late    time.Duration
		perSec  int
		atLeast int // answers in time per second, after 10 s
	}{
		{100 * time.Millisecond, 300, .95 * capacity},
		{100 * time.Millisecond, 1000, .95 * capacity},
		{200 * time.Millisecond, 600, .95 * capacity},
		{200 * time.Millisecond, 1000, .95 * capacity},
		// What is let in shows so much later that the handler is idle at times.
		{500 * time.Millisecond, 600, .75 * capacity},
		{500 * time.Millisecond, 150, 150}, // no overload
	} {
		t.Run(tt.late.String()+" "+strconv.Itoa(tt.perSec), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				workers := make(chan struct{}, capacity/10)
				h := build(t, func(_ http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err != nil {
						return
					}
					select {
					case workers <- struct{}{}:
						time.Sleep(100 * time.Millisecond)
						<-workers
					case <-r.Context().Done():
					}
				}, middleware.WithShedding(middleware.Shedding{}), middleware.WithDeadlines(middleware.Deadlines{}))
				const length, counted = 25 * time.Second, 15
				patience := time.Second + tt.late
				var wg sync.WaitGroup
				var mu sync.Mutex
				answered, refused := 0, 0
				for start := time.Now(); time.Since(start) < length; time.Sleep(time.Second / time.Duration(tt.perSec)) {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						r := httptest.NewRequestWithContext(ctx, "POST", "/", &lateBody{ctx, tt.late})
						r.ContentLength = 100
						r.Header.Set("Request-Timeout-Ms", strconv.Itoa(int(patience.Milliseconds())))
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case w.Code == http.StatusServiceUnavailable:
							refused++
						case w.Code == http.StatusOK && ctx.Err() == nil && time.Since(start) >= length-counted*time.Second:
							answered++
						}
					})
				}
				wg.Wait()
				if got := answered / counted; got < tt.atLeast {
					t.Errorf("%d answers per second in time, want at least %d", got, tt.atLeast)
				}
				if tt.perSec < capacity && refused > 0 {
					t.Errorf("%d refused though there is room", refused)
				}
			})
		})
	}
}
