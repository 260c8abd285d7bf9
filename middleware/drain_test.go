package middleware_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
)

func TestDrain(t *testing.T) {
	drain := new(middleware.Drain)
	h := build(t, func(w http.ResponseWriter, r *http.Request) {}, middleware.WithDrain(drain))
	probe := func() int {
		w := httptest.NewRecorder()
		drain.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code
	}
	if resp := serve(h, "GET"); resp.StatusCode != 200 || probe() != 200 || drain.Draining() {
		t.Errorf("in service: %d, readiness %d", resp.StatusCode, probe())
	}
	done := drain.Done()
	drain.Start()
	drain.Start()
	<-done
	<-drain.Done()
	resp := serve(h, "POST")
	ms, err := strconv.Atoi(resp.Header.Get("Retry-After-Ms"))
	if resp.StatusCode != 503 || resp.Header.Get("X-Should-Retry") != "true" || !resp.Close && resp.Header.Get("Connection") != "close" || err != nil || ms > 100 {
		t.Errorf("draining: %d with %v, want 503, the connection closed and a short wait", resp.StatusCode, resp.Header)
	}
	if probe() != 503 {
		t.Errorf("readiness %d, want 503", probe())
	}
}

// Shutdown of a server: what is in the handler is served to the end, and what
// comes on a connection that is still open is sent away.
func TestDrainWithShutdown(t *testing.T) {
	drain := new(middleware.Drain)
	entered, release := make(chan struct{}), make(chan struct{})
	srv := &http.Server{Handler: build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			close(entered)
			<-release
		}
		io.WriteString(w, "served")
	}, middleware.WithDrain(drain), middleware.WithShedding(middleware.Shedding{}))}
	srv.RegisterOnShutdown(drain.Start)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving := make(chan error, 1)
	go func() { serving <- srv.Serve(l) }()

	// A second connection that is not idle: its next request is under way when
	// the server shuts down.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: x\r\n")

	type result struct {
		body string
		err  error
	}
	long := make(chan result, 1)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	go func() {
		resp, err := client.Get("http://" + l.Addr().String() + "/long")
		if err != nil {
			long <- result{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		long <- result{string(b), err}
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(context.Background()) }()
	<-drain.Done()
	io.WriteString(conn, "Content-Length: 0\r\n\r\n")
	b, err := io.ReadAll(conn) // to the end: the server closes it
	if err != nil && !errors.Is(err, io.EOF) {
		t.Log(err) // Shutdown may be faster
	}
	if len(b) > 0 && !hasAll(string(b), "HTTP/1.1 503", "Connection: close", "X-Should-Retry: true") {
		t.Errorf("answer on an open connection:\n%s", b)
	}
	close(release)
	if r := <-long; r.err != nil || r.body != "served" {
		t.Errorf("the request in the handler: %q, %v", r.body, r.err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-serving; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// Clients that send or read slowly hold a slot for no longer than their
// deadline, and the connection is as good as before for the next request.
func TestSlowClients(t *testing.T) {
	ended := make(chan middleware.Event, 10)
	failed := make(chan error, 10)
	big := make([]byte, 64<<20)
	h := build(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch r.URL.Path {
		case "/upload":
			_, err = io.ReadAll(r.Body)
		case "/download":
			_, err = w.Write(big)
		case "/copy":
			_, err = io.Copy(w, io.LimitReader(zeros{}, 64<<20))
		case "/quick":
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "quick")
			return
		}
		failed <- err
	}, middleware.WithConcurrency(1), middleware.WithDeadlines(middleware.Deadlines{}),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { ended <- e }}))
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = quiet
	srv.Start()
	defer srv.Close()
	for _, request := range []string{
		"POST /upload HTTP/1.1\r\nHost: x\r\nRequest-Timeout-Ms: 50\r\nContent-Length: 1000\r\n\r\nslow",
		"GET /download HTTP/1.1\r\nHost: x\r\nRequest-Timeout-Ms: 50\r\n\r\n",
		"GET /copy HTTP/1.1\r\nHost: x\r\nRequest-Timeout-Ms: 50\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, request)
		var timeout net.Error
		if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%.20q: %v, want a timeout", request, err)
		}
		<-ended
		conn.Close()
	}
	// A large response that is read in time leaves no deadline behind.
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	defer client.CloseIdleConnections()
	get := func(path, timeout string) {
		req, _ := http.NewRequest("GET", srv.URL+path, nil)
		req.Header.Set("Request-Timeout-Ms", timeout)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 {
			t.Errorf("%s: %d bytes, %v", path, n, err)
		}
		<-ended
	}
	get("/copy", "60000")
	<-failed
	get("/quick", "60000")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
