package transport_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// With an AttemptTimeout too an upgraded connection can be written, and its
// sending half be closed on its own.
func TestUpgradeUnderAttemptTimeout(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		b, _ := io.ReadAll(rw) // to the end of the client's half
		conn.Write(bytes.ToUpper(b))
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := build(t, base, transport.WithPolicy(transport.Policy{AttemptTimeout: time.Minute}))
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	conn, ok := resp.Body.(interface {
		io.ReadWriteCloser
		CloseWrite() error
	})
	if !ok {
		t.Fatalf("the body is a %T, which cannot be written or half-closed", resp.Body)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "HELLO" || err != nil {
		t.Errorf("got %q, %v; want HELLO", got, err)
	}

	a, b := net.Pipe() // a connection that has no halves
	defer b.Close()
	rt = build(t, transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{}, Body: a}, nil
	}), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Minute}))
	resp, err = rt.RoundTrip(get(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite = %v, want http.ErrNotSupported", err)
	}
}
