package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// flaky is a service with good and bad days.
func flaky() http.Handler {
	var requests atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/steady", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%2 == 1 {
			http.Error(w, "out of luck", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "hello")
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "closed for the winter", http.StatusBadGateway)
	})
	return mux
}
