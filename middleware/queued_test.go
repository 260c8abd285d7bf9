package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

// sent is a writer that keeps the header of every response, also of informational ones.
type sent struct {
	header   http.Header
	statuses []int
	queued   []string // Request-Queued-Ms of each, joined
}

func (s *sent) Header() http.Header { return s.header }

func (s *sent) WriteHeader(status int) {
	s.statuses = append(s.statuses, status)
	s.queued = append(s.queued, strings.Join(s.header["Request-Queued-Ms"], ","))
}

func (s *sent) Write(p []byte) (int, error) {
	if len(s.statuses) == 0 || s.final() < 200 {
		s.WriteHeader(http.StatusOK)
	}
	return len(p), nil
}

func (s *sent) FlushError() error {
	_, err := s.Write(nil)
	return err
}

// final is the status of the last response.
func (s *sent) final() int { return s.statuses[len(s.statuses)-1] }

// behind sends a request to a handler whose only slot is taken for as long as hold says,
// and returns what its client got. The handler answers it with answer.
func behind(t *testing.T, hold time.Duration, lines []string, answer http.HandlerFunc, opts ...middleware.Option) *sent {
	t.Helper()
	s := &sent{header: http.Header{}}
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/holder" {
				time.Sleep(hold)
				return
			}
			answer(w, r)
		}, opts...)
		var wg sync.WaitGroup
		if hold > 0 {
			wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/holder", nil)) })
			synctest.Wait()
		}
		r := httptest.NewRequest("GET", "/", nil)
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Add(name, value)
		}
		h.ServeHTTP(s, r)
		if len(s.statuses) == 0 {
			s.WriteHeader(http.StatusOK) // as net/http does
		}
		wg.Wait()
	})
	return s
}

// passing is a handler that passes on what another server said.
func passing(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set(headers.RequestQueuedMs, "500")
	w.WriteHeader(http.StatusOK)
}

func TestQueuedIsTold(t *testing.T) {
	const ms = time.Millisecond
	one, shedding, attempts := middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}), middleware.WithAttempts()
	queues, announced := []middleware.Option{one, shedding}, []string{"Retry-Attempt: 1"}
	ok := func(http.ResponseWriter, *http.Request) {}
	for _, tt := range []struct {
		name   string
		hold   time.Duration
		lines  []string
		answer http.HandlerFunc
		opts   []middleware.Option
		want   string
	}{
		{"it waited", 30 * ms, announced, ok, queues, "30"},
		{"it did not wait", 0, announced, ok, queues, ""},
		{"the shortest wait that counts", ms, announced, ok, queues, "1"},
		{"a wait too short to count", ms - 1, announced, ok, queues, ""},
		{"rounded up", 30*ms + 1, announced, ok, queues, "31"},
		{"a retry", 30 * ms, []string{`Retry-Attempt: 2;max=3;id="a"`}, ok, queues, "30"},
		{"its client announces no attempts", 30 * ms, nil, ok, queues, ""},
		{"its client announces nonsense", 30 * ms, []string{"Retry-Attempt: 0"}, ok, queues, ""},
		{"another dialect", 30 * ms, []string{"Amz-Sdk-Request: attempt=1; max=3"}, ok, queues, "30"},
		{"with attempts", 30 * ms, announced, ok, []middleware.Option{one, shedding, attempts}, "30"},
		{"with attempts, none announced", 30 * ms, nil, ok, []middleware.Option{one, shedding, attempts}, ""},
		{"its client is not believed", 30 * ms, announced, ok, []middleware.Option{one, shedding, middleware.WithTrust(func(*http.Request) bool { return false })}, ""},

		{"a proxy's value, and it waited", 30 * ms, announced, passing, queues, "30"},
		{"a proxy's value, and it did not wait", 0, announced, passing, queues, ""},
		{"a proxy's value, and it hardly waited", ms - 1, announced, passing, queues, ""},
		{"a proxy's value, and its client announces no attempts", 30 * ms, nil, passing, queues, ""},
		{"a proxy's value in a dry run", 30 * ms, announced, passing, []middleware.Option{one, shedding, middleware.WithDryRun()}, "500"},
		{"a proxy's value, and no queue", 0, announced, passing, []middleware.Option{one, attempts}, "500"},
		{"a proxy's value, and it is exempt", 30 * ms, announced, passing, []middleware.Option{one, shedding, middleware.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/" })}, "500"},
		{"a dry run", 30 * ms, announced, ok, []middleware.Option{one, shedding, middleware.WithDryRun()}, ""},

		{"a failure", 30 * ms, announced, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, queues, "30"},
		{"a write", 30 * ms, announced, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, queues, "30"},
		{"a copy", 30 * ms, announced, func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("hello")) }, queues, "30"},
		{"a stream", 30 * ms, announced, func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() }, queues, "30"},
		{"a handler too late to answer", 30 * ms, append([]string{"Request-Timeout-Ms: 500"}, announced...), func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			[]middleware.Option{one, shedding, middleware.WithDeadlines(middleware.Deadlines{})}, "30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := behind(t, tt.hold, tt.lines, tt.answer, tt.opts...)
			if len(s.queued) != 1 || s.queued[0] != tt.want {
				t.Errorf("got Request-Queued-Ms %q with %v, want %q", s.queued, s.statuses, tt.want)
			}
		})
	}
}

// An informational response comes before the answer, and says nothing about it.
func TestQueuedIsToldWithTheAnswer(t *testing.T) {
	opts := []middleware.Option{middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{})}
	for _, tt := range []struct {
		name string
		hold time.Duration
		want string
	}{
		{"it waited", 30 * time.Millisecond, "/30"},
		{"it did not wait", 0, "/"},
	} {
		for kind, answer := range map[string]http.HandlerFunc{
			"a handler's own": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) },
			"a proxy's": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Request-Queued-Ms", "500")
				w.WriteHeader(103)
				passing(w, r)
			},
		} {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				s := behind(t, tt.hold, []string{"Retry-Attempt: 1"}, answer, opts...)
				if got := strings.Join(s.queued, "/"); got != tt.want {
					t.Errorf("got Request-Queued-Ms %q with %v, want %q", got, s.statuses, tt.want)
				}
			})
		}
	}
}

// A refusal says when to come back, and not how long its request waited in vain.
func TestRefusalTellsNoQueue(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       int
	}{
		{"the attempt is over", "Request-Attempt-Timeout-Ms: 120", 503},
		{"the call is over", "Request-Timeout-Ms: 120", 504},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var waited time.Duration
			s := behind(t, time.Second, []string{"Retry-Attempt: 1", tt.line}, passing, middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}),
				middleware.WithDeadlines(middleware.Deadlines{}), middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
					if e.Shed != "" {
						waited = e.QueueWait
					}
				}}))
			if s.final() != tt.want || waited != 120*time.Millisecond || s.queued[0] != "" {
				t.Errorf("got %d after %v with Request-Queued-Ms %q, want %d after 120ms without", s.final(), waited, s.queued[0], tt.want)
			}
		})
	}
}
