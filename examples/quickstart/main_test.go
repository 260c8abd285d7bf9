package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

func Example() {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" || requests.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	client, err := newClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/flaky", "/down"} {
		if err := get(client, server.URL+path); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 200 OK, attempts: 2, stopped by: succeeded
	// 500 Internal Server Error, attempts: 3, stopped by: attempts
}

func TestNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()

	client, err := newClient()
	if err != nil {
		t.Fatal(err)
	}
	err = get(client, nobody)
	var failed *transport.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a *transport.Error in it", err)
	}
	if failed.Attempts != 3 || failed.Stop != transport.StopAttempts {
		t.Errorf("%d attempts, stopped by %s, want 3 by %s", failed.Attempts, failed.Stop, transport.StopAttempts)
	}
}
