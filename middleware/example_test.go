package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func Example() {
	wrap, err := middleware.New(
		middleware.WithConcurrency(100),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		info, _ := middleware.FromContext(r.Context())
		fmt.Fprintf(w, "attempt %d of %d, deadline %v", info.Attempt, info.MaxAttempts, !info.Deadline.IsZero())
	})
	handler := wrap(mux)

	r := httptest.NewRequest("GET", "/hello", nil)
	r.Header.Set("Retry-Attempt", "2;max=3")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	r.Header.Set("Request-Timeout-Ms", "0")
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("X-Should-Retry"))
	// Output:
	// 200 attempt 2 of 3, deadline true
	// 504 false
}

// The mistake is to call New for each route or request: each has a limit of
// its own, so that together they admit far more than the server can take. Call
// it once and wrap with what it returns.
func ExampleNew_incorrect() {
	served := 0
	var nested func(depth int) http.Handler
	nested = func(depth int) http.Handler {
		wrap, _ := middleware.New(middleware.WithConcurrency(1))
		return wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served++
			if depth > 1 { // a second and a third request while this one is served
				nested(depth-1).ServeHTTP(httptest.NewRecorder(), r)
			}
		}))
	}
	nested(3).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	fmt.Println(served, "requests at once with a limit of 1")
	// Output:
	// 3 requests at once with a limit of 1
}
