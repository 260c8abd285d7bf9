package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

var serverHeads = []string{"request", "result", "reason", "span", "log"}

var silent = log.New(io.Discard, "", 0)

// A site is a server over real HTTP with metrics, spans and log.
type site struct {
	*watch
	*httptest.Server
	client  *http.Client
	arrived chan struct{} // has one for each request in the handler
	release chan struct{} // lets one at /hold go
	asked   chan struct{} // has one for each request whose priority is asked for
	events  chan middleware.Event
}

func newSite(t *testing.T, serve http.HandlerFunc, opts ...middleware.Option) *site {
	t.Helper()
	s := &site{watch: newWatch(t), arrived: make(chan struct{}, 1000), release: make(chan struct{}),
		asked: make(chan struct{}, 1000), events: make(chan middleware.Event, 1000)}
	wrap, err := middleware.New(append(opts,
		middleware.WithObserver(s.metrics.Server()),
		middleware.WithObserver(s.tracing.ServerObserver()),
		middleware.WithObserver(middleware.Log(s.logger)),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { s.events <- e }}),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s.tracing.Server(wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.arrived <- struct{}{}
		if r.URL.Path == "/hold" {
			<-s.release
			return
		}
		serve(w, r)
	}))))
	s.Config.ErrorLog = silent
	s.Start()
	conns := &http.Transport{}
	s.client = &http.Client{Transport: conns}
	t.Cleanup(func() {
		close(s.release)
		s.Close()
		conns.CloseIdleConnections()
	})
	s.mark()
	return s
}

// send sends a request that goes on until its client disconnects.
func (s *site) send(path string, header ...string) (leave func()) {
	ctx, leave := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+path+"?token="+secret, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	go func() {
		if resp, err := s.client.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	return leave
}

// hold has a request in the handler until the end.
func (s *site) hold() {
	s.send("/hold")
	<-s.arrived
}

// row waits for a request that is refused for this reason, or for any, and
// returns the value of each column.
func (s *site) row(reason middleware.ShedReason) []string {
	s.t.Helper()
	late := time.After(10 * time.Second)
	var seen middleware.Event
	for ok := false; !ok; ok = seen.Shed == reason {
		select {
		case seen = <-s.events:
		case <-late:
			s.t.Fatalf("no request with reason %q", reason)
		}
	}
	mine := func(span sdktrace.ReadOnlySpan) bool { return field(span, "evenkeel.shed") == string(reason) }
	for s.statuses(mine) == "-" {
		select {
		case <-s.ended:
		case <-late:
			s.t.Fatal("no span")
		}
	}
	said := "-"
	if reason != middleware.ShedNone {
		said = string(reason)
	}
	metric := "evenkeel_server_shed_total"
	if seen.DryRun {
		metric = "evenkeel_server_would_shed_total"
	}
	if got := s.counted(metric, "reason"); !strings.Contains(got, said) {
		s.t.Errorf("%s was counted with %q, want %s", metric, got, said)
	}
	result := string(seen.Result())
	if got := s.counted("evenkeel_server_requests_total", "result"); !strings.Contains(got, result) {
		s.t.Errorf("result %s was counted as %s", result, got)
	}
	if got := s.logged("evenkeel: request", "result"); !strings.Contains(got, result) {
		s.t.Errorf("result %s was logged as %s", result, got)
	}
	for _, span := range s.seen() {
		if got := field(span, "evenkeel.result"); mine(span) && got != "" && got != result {
			s.t.Errorf("the span says result %s, the event %s", got, result)
		}
	}
	return []string{result, said, s.statuses(mine), s.levels(func(l line) bool {
		return strings.HasPrefix(l.message, "evenkeel: request") && (l.fields["reason"] == said || reason == middleware.ShedNone)
	})}
}

// plain is a request that is not refused.
func plain(serve http.HandlerFunc, opts ...middleware.Option) func(*testing.T) []string {
	return func(t *testing.T) []string {
		s := newSite(t, serve, opts...)
		defer s.send("/")()
		return s.row(middleware.ShedNone)
	}
}

// left is a request whose client disconnects when it is in the handler.
func left(serve http.HandlerFunc) func(*testing.T) []string {
	return func(t *testing.T) []string {
		s := newSite(t, serve)
		leave := s.send("/")
		<-s.arrived
		leave()
		return s.row(middleware.ShedNone)
	}
}

// queued is a server with one slot, which is taken, and a queue.
func queued(t *testing.T) *site {
	var s *site
	s = newSite(t, answer(200), middleware.WithConcurrency(1),
		middleware.WithShedding(middleware.Shedding{MaxWait: 600 * time.Millisecond}),
		middleware.WithPriority(func(r *http.Request) int {
			s.asked <- struct{}{}
			return middleware.HeaderPriority(r)
		}))
	s.hold()
	return s
}

func TestWhatRequestsComeTo(t *testing.T) {
	stream := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
		}
	}
	abort := func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	soon := middleware.WithDeadlines(middleware.Deadlines{Max: 30 * time.Millisecond})
	var drain middleware.Drain
	drain.Start()
	walk(t, outcomes(t, serverHeads...), map[string]func(*testing.T) []string{
		"answered below 400":       plain(answer(200)),
		"answered 404":             plain(answer(404)),
		"answered 429":             plain(answer(429)),
		"answered 503":             plain(answer(503)),
		"answered 500":             plain(answer(500)),
		"streamed to the end":      plain(stream),
		"streamed, client left":    left(func(w http.ResponseWriter, r *http.Request) { stream(w, r); <-r.Context().Done() }),
		"client left":              left(hang),
		"client left, 502":         left(func(w http.ResponseWriter, r *http.Request) { hang(w, r); w.WriteHeader(http.StatusBadGateway) }),
		"client left, aborted":     left(abort),
		"aborted":                  plain(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"deadline passed":          plain(hang, soon),
		"deadline passed, aborted": plain(abort, soon),
		"hijacked": plain(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			conn.Close()
		}),
		"panicked": plain(func(http.ResponseWriter, *http.Request) { panic("bug at http://user:" + secret + "@api.test") }),
		"refused: expired": func(t *testing.T) []string {
			s := newSite(t, answer(200), soon)
			defer s.send("/", "Request-Timeout-Ms: 0")()
			return s.row(middleware.ShedExpired)
		},
		"refused: no room": func(t *testing.T) []string {
			s := newSite(t, answer(200), middleware.WithConcurrency(1))
			s.hold()
			defer s.send("/")()
			return s.row(middleware.ShedConcurrency)
		},
		"refused: waited too long": func(t *testing.T) []string {
			s := queued(t)
			defer s.send("/")()
			return s.row(middleware.ShedQueue)
		},
		"refused: a retry": func(t *testing.T) []string {
			s := queued(t)
			over := make(chan struct{})
			tick := time.NewTicker(20 * time.Millisecond)
			go func() {
				for {
					select {
					case <-tick.C:
						defer s.send("/", "Retry-Attempt: 2")()
					case <-over:
						return
					}
				}
			}()
			defer close(over)
			defer tick.Stop()
			return s.row(middleware.ShedRetry)
		},
		"refused: low priority": func(t *testing.T) []string {
			s := queued(t)
			defer s.send("/", "X-Failsafe-Priority: 0")()
			<-s.asked
			defer s.send("/hold", "X-Failsafe-Priority: 4")()
			<-s.asked
			time.AfterFunc(200*time.Millisecond, func() { s.release <- struct{}{} }) // both wait by then
			return s.row(middleware.ShedPriority)
		},
		"refused: over the quota": func(t *testing.T) []string {
			s := newSite(t, answer(200), middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Hour}}))
			defer s.send("/")()
			<-s.arrived
			s.row(middleware.ShedNone)
			s.mark()
			defer s.send("/")()
			return s.row(middleware.ShedRate)
		},
		"refused: shutting down": func(t *testing.T) []string {
			s := newSite(t, answer(200), middleware.WithDrain(&drain))
			defer s.send("/")()
			return s.row(middleware.ShedDrain)
		},
		"refused: little memory": func(t *testing.T) []string {
			before := debug.SetMemoryLimit(1 << 20) // of which more is in use
			defer debug.SetMemoryLimit(before)
			s := newSite(t, answer(200), middleware.WithShedding(middleware.Shedding{MinConcurrency: 1, MaxWait: 50 * time.Millisecond}))
			s.hold()
			defer s.send("/")()
			return s.row(middleware.ShedMemory)
		},
		"refused: client left the queue": func(t *testing.T) []string {
			s := queued(t)
			leave := s.send("/")
			<-s.asked
			leave()
			return s.row(middleware.ShedGone)
		},
		"a dry run would refuse it": func(t *testing.T) []string {
			s := newSite(t, answer(200), middleware.WithConcurrency(1), middleware.WithDryRun())
			s.hold()
			defer s.send("/")()
			return s.row(middleware.ShedConcurrency)
		},
	})
}
