package main

import (
	"errors"
	"net"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

func Example() {
	main()
	// Output:
	// 200 OK, attempts: 1, stopped by: succeeded
	// 200 OK, attempts: 2, stopped by: succeeded
	// 502 Bad Gateway, attempts: 3, stopped by: attempts
}

func TestErrorSaysWhatHappened(t *testing.T) {
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
