package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// newBackend returns a service that fails the first request of each method and
// path. Its WebSocket echoes.
func newBackend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s with %q", r.Method, body)
	})
	mux.HandleFunc("GET /socket", echo)

	var mu sync.Mutex
	seen := make(map[string]bool)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		key := r.Method + r.URL.Path
		again := seen[key]
		seen[key] = true
		mu.Unlock()
		if !again {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, "not this time")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// site is a server on a free port of the loopback interface.
type site struct {
	*http.Server
	URL *url.URL
}

func serve(handler http.Handler) (*site, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &site{
		Server: &http.Server{Handler: handler},
		URL:    &url.URL{Scheme: "http", Host: listener.Addr().String()},
	}
	go s.Serve(listener) // until Close
	return s, nil
}
