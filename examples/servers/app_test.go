// Package servers_test puts the middleware around the routers of README.md.
// Each test sends real requests, which take a stream, a WebSocket and a
// refusal through all the layers.
package servers_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/gorilla/websocket"
)

// An app has the handlers of every router here.
type app struct {
	next             chan struct{} // the client has the first event
	entered, release chan struct{} // of block
	events           chan middleware.Event
	load             func() middleware.Load
}

func newApp() *app {
	return &app{next: make(chan struct{}), entered: make(chan struct{}), release: make(chan struct{}), events: make(chan middleware.Event, 100)}
}

// options admit one request at a time, which is enough if streams and WebSockets
// release their slot.
func (a *app) options() []middleware.Option {
	return []middleware.Option{
		middleware.WithConcurrency(1),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute}),
		middleware.WithObserver(middleware.Observer{
			OnRequest: func(_ context.Context, e middleware.Event) { a.events <- e },
			OnNew:     func(load func() middleware.Load) { a.load = load },
		}),
	}
}

func (a *app) user(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Ann") }

func (a *app) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, "data: 1\n\n")
	w.(http.Flusher).Flush()
	a.await(r)
	io.WriteString(w, "data: 2\n\n")
}

// await returns once the client has the first event.
func (a *app) await(r *http.Request) {
	select {
	case <-a.next:
	case <-r.Context().Done():
	}
}

func (a *app) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func (a *app) block(_ http.ResponseWriter, r *http.Request) {
	a.entered <- struct{}{}
	select {
	case <-a.release:
	case <-r.Context().Done():
	}
}

// fail panics like a handler with a bug.
func (a *app) fail(http.ResponseWriter, *http.Request) { panic("a bug") }

// The routes of the app, as most routers write them.
func (a *app) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", a.user)
	mux.HandleFunc("/events", a.stream)
	mux.HandleFunc("/socket", a.socket)
	mux.HandleFunc("/block", a.block)
	mux.HandleFunc("/fail", a.fail)
	return mux
}

// start serves a handler until the test ends.
func start(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = silent
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// event returns the event of the next request that ended.
func (a *app) event(t *testing.T) middleware.Event {
	t.Helper()
	select {
	case e := <-a.events:
		return e
	case <-t.Context().Done():
	case <-time.After(10 * time.Second):
	}
	t.Fatal("the middleware says nothing of the request")
	return middleware.Event{}
}

// free waits until a stream has released its slot. The client may have its first
// bytes a moment earlier.
func (a *app) free(t *testing.T) {
	t.Helper()
	if !eventually(func() bool { return a.load().InFlight == 0 }) {
		t.Error("a stream keeps its place")
	}
}

// eventually reports whether it is so within ten seconds.
func eventually(so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("GET %s: %v", url, err)
	}
	return resp, string(body)
}

// drive sends every kind of request to an app. served and refused are the names of
// the user route that it expects for requests of each kind.
func (a *app) drive(t *testing.T, h http.Handler, served, refused string) {
	t.Helper()
	url := start(t, h)
	t.Run("route", func(t *testing.T) {
		if resp, body := get(t, url+"/users/7"); resp.StatusCode != 200 || body != "Ann" {
			t.Errorf("got %s %q, want 200 Ann", resp.Status, body)
		}
		if e := a.event(t); e.Pattern != served || e.Status != 200 {
			t.Errorf("event of %q with status %d, want %q with 200", e.Pattern, e.Status, served)
		}
	})
	t.Run("refusal", func(t *testing.T) { a.driveRefusal(t, url, refused) })
	t.Run("stream", func(t *testing.T) { a.driveStream(t, url) })
	t.Run("WebSocket", func(t *testing.T) { a.driveSocket(t, url) })
}

func (a *app) driveRefusal(t *testing.T, url, pattern string) {
	blocked := make(chan string)
	go func() {
		resp, err := http.Get(url + "/block")
		if err != nil {
			blocked <- err.Error()
			return
		}
		resp.Body.Close()
		blocked <- resp.Status
	}()
	<-a.entered
	resp, body := get(t, url+"/users/7")
	a.release <- struct{}{}
	if got := <-blocked; got != "200 OK" {
		t.Errorf("the request that was let in got %s, want 200", got)
	}
	if resp.StatusCode != 503 || resp.Header.Get("X-Should-Retry") != "true" || resp.Header.Get("Retry-After") == "" ||
		!strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || !strings.HasSuffix(body, ".\n") {
		t.Errorf("got %s %v %q, want 503, when to come back, and a line of text", resp.Status, resp.Header, body)
	}
	e := a.event(t)
	a.event(t) // of the admitted request
	if e.Pattern != pattern || e.Shed != middleware.ShedConcurrency {
		t.Errorf("event of %q, shed %q, want %q and concurrency", e.Pattern, e.Shed, pattern)
	}
}

func (a *app) driveStream(t *testing.T, url string) {
	resp, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var got []string
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		if got = append(got, strings.TrimSpace(data)); len(got) == 1 {
			a.free(t) // while the handler runs
			if resp, _ := get(t, url+"/users/7"); resp.StatusCode != 200 {
				t.Errorf("another request during the stream got %s, want 200", resp.Status)
			}
			a.event(t)
			a.next <- struct{}{}
		}
	}
	if err := lines.Err(); err != nil || strings.Join(got, " ") != "1 2" {
		t.Errorf("events %q, %v, want 1 and 2", got, err)
	}
	if e := a.event(t); e.Streamed == 0 {
		t.Error("the event is not that of a stream")
	}
}

func (a *app) driveSocket(t *testing.T, url string) {
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if resp, _ := get(t, url+"/users/7"); resp.StatusCode != 200 {
		t.Errorf("another request beside the WebSocket got %s, want 200", resp.Status)
	}
	a.event(t)
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v, want hello", got, err)
	}
	conn.Close()
	if e := a.event(t); !e.Hijacked {
		t.Error("the event does not say that the connection was hijacked")
	}
}
