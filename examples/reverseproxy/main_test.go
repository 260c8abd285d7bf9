package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

func Example() {
	main()
	// Output:
	// proxy: GET, attempts: 2, stopped by: succeeded
	// client: GET 200 OK GET with ""
	// proxy: PUT, attempts: 2, stopped by: succeeded
	// client: PUT 200 OK PUT with "cargo"
	// proxy: POST, attempts: 1, stopped by: method
	// client: POST 500 Internal Server Error not this time
	// proxy: GET, attempts: 2, stopped by: succeeded
	// client: WebSocket echoes "ahoy"
	// client: WebSocket echoes "and back"
}

// A proxy and its client must agree on when a connection ends, whichever side
// ends it.
func TestSocketClosesThroughTheProxy(t *testing.T) {
	gone := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		echo(w, r)
	}))
	defer backend.Close()
	handler, err := newProxy(parse(t, backend.URL))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(handler)
	defer proxy.Close()

	conn, err := dial(proxy.Client(), proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := say(conn, "ahoy"); got != "ahoy" || err != nil {
		t.Errorf("got %q, %v, want the message back", got, err)
	}
	conn.Close()
	<-gone
}

// The deadline that the backend is told of is lower at the second attempt.
func TestDeadlineShrinksOnTheWay(t *testing.T) {
	var left []time.Duration
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := headers.TimeoutOf(r.Header, time.Now())
		left = append(left, d)
		if len(left) < 2 {
			w.Header().Set("Retry-After-Ms", "20")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer backend.Close()
	handler, err := newProxy(parse(t, backend.URL))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Request-Timeout-Ms", "4000")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(left) != 2 {
		t.Fatalf("status %d after %d attempts, want 200 after 2", w.Code, len(left))
	}
	// The wait between the attempts is at least 20 ms.
	if left[0] <= 0 || left[0] > 4*time.Second || left[1] <= 0 || left[1] > left[0]-20*time.Millisecond {
		t.Errorf("the backend was told of %v, want less each time", left)
	}
}

func TestNoBackendIsABadGateway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	handler, err := newProxy(parse(t, nobody))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("cargo")))
	if w.Code != http.StatusBadGateway {
		t.Errorf("status %d, want 502", w.Code)
	}
}

func TestFailSaysWhy(t *testing.T) {
	refused := &transport.Error{Stop: transport.StopBreakerOpen, Err: &breaker.OpenError{Service: "backend", RetryIn: 1500 * time.Millisecond}}
	for _, tt := range []struct {
		name   string
		err    error
		status int
		again  string // X-Should-Retry
		after  string // Retry-After
	}{
		{"open circuit", refused, 503, "true", "2"},
		{"timeout", &transport.Error{Attempts: 3, Stop: transport.StopAttempts, Err: os.ErrDeadlineExceeded}, 504, "", ""},
		{"broken connection", &transport.Error{Attempts: 1, Stop: transport.StopMethod, Err: io.ErrUnexpectedEOF}, 502, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			fail(w, nil, tt.err)
			if w.Code != tt.status || w.Header().Get("X-Should-Retry") != tt.again || w.Header().Get("Retry-After") != tt.after {
				t.Errorf("got %d with %v, want %d, X-Should-Retry %q, Retry-After %q", w.Code, w.Header(), tt.status, tt.again, tt.after)
			}
		})
	}
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
