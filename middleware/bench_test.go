package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// throttle is the least that can be done: a channel of tokens, as in
// chi/middleware.Throttle, with nothing measured and no ResponseWriter wrapped.
func throttle(limit int, next http.Handler) http.Handler {
	tokens := make(chan struct{}, limit)
	for range limit {
		tokens <- struct{}{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case token := <-tokens:
			defer func() { tokens <- token }()
			next.ServeHTTP(w, r)
		default:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	})
}

func BenchmarkAdmission(b *testing.B) {
	ok := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) }
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Retry-Attempt", "2;max=3")
	r.Header.Set("Request-Timeout-Ms", "1500")
	shedding, attempts := middleware.WithShedding(middleware.Shedding{}), middleware.WithAttempts()
	for _, bm := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", http.HandlerFunc(ok)},
		{"channel", throttle(10, http.HandlerFunc(ok))},
		{"concurrency", build(b, ok, middleware.WithConcurrency(10))},
		{"shedding", build(b, ok, shedding)},
		{"fair, routes", build(b, ok, middleware.WithShedding(middleware.Shedding{FairBy: func(r *http.Request) string { return r.RemoteAddr }}),
			middleware.WithRoute(func(r *http.Request) string { return r.URL.Path }))},
		{"and attempts", build(b, ok, shedding, attempts)},
		{"and deadlines", build(b, ok, shedding, attempts, middleware.WithDeadlines(middleware.Deadlines{}))},
		{"rate", build(b, ok, middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1e9, Per: time.Second}}))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			w := &fakeWriter{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				bm.h.ServeHTTP(w, r)
			}
		})
		b.Run(bm.name+", parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &fakeWriter{header: http.Header{}}
				for pb.Next() {
					clear(w.header)
					bm.h.ServeHTTP(w, r)
				}
			})
		})
	}
}
