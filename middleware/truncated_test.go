package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// hidden is a writer that says nothing of the one inside.
type hidden struct{ http.ResponseWriter }

// A handler whose context the deadline ends, and which then returns, has not
// written all: its client must not take what there is for the whole.
func TestAnswersThatTheDeadlineCuts(t *testing.T) {
	write := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, n)) }
	}
	header := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(name, value) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	flush := func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() }
	lift := func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	until := func(_ http.ResponseWriter, r *http.Request) { // as handlers do that heed their context
		select {
		case <-r.Context().Done():
		case <-time.After(3 * time.Second):
		}
	}
	do := func(steps ...http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, step := range steps {
				step(w, r)
			}
		}
	}
	same := func(h http.Handler) http.Handler { return h }
	hide := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(hidden{w}, r) })
	}
	recovers := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recover() }()
			h.ServeHTTP(w, r)
		})
	}
	again := func(h http.Handler) http.Handler {
		return build(t, h.ServeHTTP, middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute}))
	}
	buffers := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	const call = "Request-Timeout-Ms: 1000"
	for _, tt := range []struct {
		name    string
		line    string // of the client
		max     time.Duration
		around  func(http.Handler) http.Handler
		handler http.HandlerFunc
		want    string
		result  middleware.Result // "": one of two, as two deadlines pass at a time
	}{
		{name: "in the buffers", line: call, handler: do(write(10), until), want: "no answer", result: middleware.ResultTimeout},
		{name: "just the header", line: call, handler: do(status(200), until), want: "no answer", result: middleware.ResultTimeout},
		{name: "flushed", line: call, handler: do(write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "flushed, and more", line: call, handler: do(flush, write(10), until), want: "cut", result: middleware.ResultTimeout},
		{name: "large", line: call, handler: do(write(100_000), until), want: "cut", result: middleware.ResultTimeout},
		{name: "of gRPC", line: "Grpc-Timeout: 1S", handler: do(write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "less than announced", line: call, handler: do(header("Content-Length", "20"), write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "behind a layer that recovers", line: call, around: recovers, handler: do(write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "behind a layer that hides the writer", line: call, around: hide, handler: do(write(10), until), want: "no answer", result: middleware.ResultTimeout},
		{name: "behind another middleware of the kind", line: call, around: again, handler: do(write(10), flush, until), want: "cut"},
		{name: "behind a layer that buffers", line: call, around: buffers, handler: do(write(10), until), want: "no answer", result: middleware.ResultTimeout},
		{name: "with deadlines of the handler's", line: call, handler: do(lift, write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "by the server alone, flushed", max: time.Second, handler: do(write(10), flush, until), want: "cut", result: middleware.ResultTimeout},
		{name: "sooner by the server, flushed", line: "Request-Timeout-Ms: 2000", max: time.Second, handler: do(write(10), flush, until), want: "cut", result: middleware.ResultTimeout},

		{name: "all that was announced", line: call, handler: do(header("Content-Length", "10"), write(10), flush, until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "an answer that has no body", line: call, handler: do(status(304), until), want: "empty", result: middleware.ResultSuccess},
		{name: "an answer to the deadline", line: call, handler: do(until, status(503), write(10)), want: "503 whole", result: middleware.ResultUnavailable},
		{name: "an answer to the deadline, flushed", line: call, handler: do(until, status(503), write(10), flush), want: "503 whole", result: middleware.ResultUnavailable},
		{name: "an answer to the server's deadline, flushed", max: time.Second, handler: do(until, status(503), write(10), flush, write(10), flush), want: "503 whole", result: middleware.ResultUnavailable},
		{name: "large, and all that was announced", line: call, handler: do(header("Content-Length", "100000"), write(50_000), write(50_000), until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "an answer that has no body, flushed", line: call, handler: do(status(204), flush, until), want: "empty", result: middleware.ResultSuccess},
		{name: "in time", line: call, handler: do(write(10), flush, write(10)), want: "200 whole", result: middleware.ResultSuccess},
		{name: "no deadline", handler: do(write(10), flush, until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "an attempt's time", line: "Request-Attempt-Timeout-Ms: 1000", handler: do(write(10), flush, until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "by the server alone, in the buffers", max: time.Second, handler: do(write(10), until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "sooner by the server, in the buffers", line: "Request-Timeout-Ms: 2000", max: time.Second, handler: do(write(10), until), want: "200 whole", result: middleware.ResultSuccess},
		{name: "the handler lifts the deadline and goes on", line: call, handler: do(lift, write(10), flush, until, write(10)), want: "200 whole", result: middleware.ResultSuccess},
		{name: "the handler lifts that of the server", max: time.Second, handler: do(lift, write(10), flush, until), want: "200 whole", result: middleware.ResultSuccess},
	} {
		for proto, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
			t.Run(tt.name+"/"+proto, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					results := make(chan middleware.Result, 1)
					h := build(t, tt.handler, middleware.WithDeadlines(middleware.Deadlines{Max: tt.max}), middleware.WithObserver(middleware.Observer{
						OnRequest: func(_ context.Context, e middleware.Event) { results <- e.Result() },
					}))
					if tt.around == nil {
						tt.around = same
					}
					over(t, &http.Server{}, tt.around(h), http2, func(c *http.Client) {
						var lines []string
						if tt.line != "" {
							lines = []string{tt.line}
						}
						if got := outcome(c, lines, http.NoBody); got != tt.want {
							t.Errorf("%s, want %s", got, tt.want)
						}
					})
					if result := <-results; tt.result != "" && result != tt.result {
						t.Errorf("result %s, want %s", result, tt.result)
					}
				})
			})
		}
	}
}

// Outside a server of net/http nobody may be there to recover.
func TestNoPanicOutsideAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begun")
			<-r.Context().Done()
		}, middleware.WithDeadlines(middleware.Deadlines{}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Request-Timeout-Ms", "1000")
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
}

// A panic with nil stays one, and the end of a goroutine the end of it, also
// where an observer asks.
func TestPanicWithNilAndGoexit(t *testing.T) {
	if os.Getenv("GODEBUG") != "panicnil=1" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestPanicWithNilAndGoexit$")
		cmd.Env = append(os.Environ(), "GODEBUG=panicnil=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with GODEBUG=panicnil=1: %v\n%s", err, out)
		}
	}
	for name, leave := range map[string]func(){"panic": func() { panic(nil) }, "Goexit": runtime.Goexit} {
		var result middleware.Result
		h := build(t, func(http.ResponseWriter, *http.Request) { leave() }, middleware.WithObserver(middleware.Observer{
			OnRequest: func(_ context.Context, e middleware.Event) { result = e.Result() },
		}))
		returned, done := false, make(chan struct{})
		go func() {
			defer close(done)
			defer func() { recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			returned = true
		}()
		<-done
		if returned || result != middleware.ResultPanicked {
			t.Errorf("%s: returned %t with result %s, want neither a return nor another result than panicked", name, returned, result)
		}
	}
}
