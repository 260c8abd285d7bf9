package transport_test

import (
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

// What net/http sends again by itself, on a connection that was kept alive and
// is broken, is one attempt.
func TestResentByNetHTTP(t *testing.T) {
	srv := newRawServer(t, func(conn net.Conn, n int) {
		if n == 2 {
			conn.Close()
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	defer srv.end()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	var told told
	rt := build(t, base, told.option())
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+srv.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Keep", "1")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); got != "ok" {
			t.Errorf("body %q, want ok", got)
		}
		if call, _ := transport.CallOf(resp); call.Attempts != 1 || call.Stop != transport.StopSucceeded {
			t.Errorf("%+v, want one attempt that succeeded", call)
		}
	}
	if n := srv.count.Load(); n != 3 || len(told.attempts) != 2 {
		t.Errorf("the server saw %d requests and the observer %d attempts, want 3 and 2", n, len(told.attempts))
	}
}
