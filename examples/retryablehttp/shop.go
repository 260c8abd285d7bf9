package main

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// A shop is a server that fails.
type shop struct {
	orders atomic.Int64
	flaky  atomic.Int64
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		s.orders.Add(1) // the order is made, only the answer is lost
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "lost")
	})
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "closed")
	})
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "come back later")
	})
	mux.HandleFunc("GET /flaky", func(w http.ResponseWriter, _ *http.Request) {
		if s.flaky.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "hello")
	})
	return mux
}
