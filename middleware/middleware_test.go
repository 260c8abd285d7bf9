package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
)

func build(t testing.TB, h http.HandlerFunc, opts ...middleware.Option) http.Handler {
	t.Helper()
	wrap, err := middleware.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(h)
}

func serve(h http.Handler, method string, lines ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// full is a handler whose one slot is taken until the test ends.
func full(t *testing.T, opts ...middleware.Option) http.Handler {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	h := build(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
	}, append([]middleware.Option{middleware.WithConcurrency(1)}, opts...)...)
	done := make(chan struct{})
	go func() { serve(h, "GET"); close(done) }()
	<-entered
	t.Cleanup(func() { close(release); <-done })
	return h
}

func TestShedding(t *testing.T) {
	h := full(t)
	seconds := map[string]bool{}
	for range 50 {
		resp := serve(h, "POST")
		ms, err := strconv.Atoi(resp.Header.Get("Retry-After-Ms"))
		if resp.StatusCode != 503 || err != nil || ms < 1000 || ms > 3000 {
			t.Fatalf("%d with Retry-After-Ms %q, want 503 and 1000 to 3000", resp.StatusCode, resp.Header.Get("Retry-After-Ms"))
		}
		if got, want := resp.Header.Get("Retry-After"), fmt.Sprint((ms+999)/1000); got != want {
			t.Errorf("Retry-After %s for %d ms, want %s", got, ms, want)
		}
		seconds[resp.Header.Get("Retry-After-Ms")] = true
		for name, want := range map[string]string{"X-Should-Retry": "true", "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if len(seconds) < 40 {
		t.Errorf("only %d different waits for 50 clients, which would come back together", len(seconds))
	}
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	resp := serve(h, "GET", "Accept: text/html, application/json;q=0.9")
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || problem.Status != 503 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem %+v, %v, %s", problem, err, resp.Header.Get("Content-Type"))
	}
	if b, _ := io.ReadAll(serve(h, "HEAD").Body); len(b) != 0 {
		t.Errorf("the answer to HEAD has a body: %q", b)
	}
}

func TestDryRunRefusesNothing(t *testing.T) {
	var events []middleware.Event
	h := full(t, middleware.WithDryRun(), middleware.WithDeadlines(middleware.Deadlines{}), middleware.WithObserver(middleware.Observer{
		OnRequest: func(_ context.Context, e middleware.Event) { events = append(events, e) },
	}))
	if resp := serve(h, "GET"); resp.StatusCode != 200 {
		t.Errorf("%d, want 200", resp.StatusCode)
	}
	if len(events) != 1 || events[0].Shed != middleware.ShedConcurrency || !events[0].DryRun || events[0].Status != 200 {
		t.Errorf("events %+v, want one that would have been shed", events)
	}
}

func TestAttempts(t *testing.T) {
	var info middleware.Info
	var ok bool
	handler := func(w http.ResponseWriter, r *http.Request) { info, ok = middleware.FromContext(r.Context()) }
	for _, tt := range []struct {
		lines []string
		opts  []middleware.Option
		want  middleware.Info
		echo  string
	}{
		{lines: []string{`Retry-Attempt: 2;max=3;id="a1"`}, want: middleware.Info{Attempt: 2, MaxAttempts: 3, CallID: "a1"}, echo: "2"},
		{lines: []string{"X-Stainless-Retry-Count: 2"}, want: middleware.Info{Attempt: 3}, echo: "3"},
		{lines: []string{"Retry-Attempt: -7"}},
		{lines: []string{"Retry-Attempt: 1", "Retry-Attempt: 2"}},
		{},
		{lines: []string{"Retry-Attempt: 2"}, opts: []middleware.Option{middleware.WithTrust(func(*http.Request) bool { return false })}},
	} {
		resp := serve(build(t, handler, append(tt.opts, middleware.WithAttempts())...), "GET", tt.lines...)
		if !ok || info != tt.want || resp.Header.Get("Retry-Attempt") != tt.echo {
			t.Errorf("%q: %+v, %v, echo %q; want %+v and %q", tt.lines, info, ok, resp.Header.Get("Retry-Attempt"), tt.want, tt.echo)
		}
	}
	serve(build(t, handler), "GET")
	if ok {
		t.Error("there is Info without WithAttempts")
	}
}

func TestExemptAndMux(t *testing.T) {
	var pattern string
	wrap, err := middleware.New(middleware.WithConcurrency(1), middleware.WithAttempts(),
		middleware.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/healthz" }), middleware.WithExempt(nil),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) { pattern = e.Pattern }}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("id")) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*fakeWriter); !ok {
			t.Errorf("an exempt request got a %T", w)
		}
	})
	h := wrap(mux)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/users/7", nil))
	if pattern != "GET /users/{id}" || w.Body.String() != "7" {
		t.Errorf("pattern %q, body %q", pattern, w.Body)
	}
	pattern = ""
	h.ServeHTTP(&fakeWriter{header: http.Header{}}, httptest.NewRequest("GET", "/healthz", nil))
	if pattern != "" {
		t.Error("an exempt request was reported")
	}
}

func TestLogNamesNoURL(t *testing.T) {
	var out strings.Builder
	h := full(t, middleware.WithObserver(middleware.Log(slog.New(slog.NewTextHandler(&out, nil)))))
	r := httptest.NewRequest("GET", "/?token=secret", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got := out.String(); !strings.Contains(got, "reason=concurrency") || strings.Contains(got, "secret") || strings.Count(got, "\n") != 1 {
		t.Errorf("log: %q", got)
	}
	middleware.Log(nil)
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []middleware.Option
		want []string // of the error; none: it is no mistake
	}{
		{"several at a time", []middleware.Option{nil, middleware.WithConcurrency(0), middleware.WithDeadlines(middleware.Deadlines{Max: -1, Default: -2})},
			[]string{"WithConcurrency(0): want", "Max -1ns: want", "Default -2ns: want"}},
		{"a priority that nothing is ordered by", []middleware.Option{middleware.WithPriority(middleware.HeaderPriority)}, []string{"WithPriority: want WithShedding"}},
		{"no priority", []middleware.Option{middleware.WithShedding(middleware.Shedding{}), middleware.WithPriority(nil)}, []string{"WithPriority(nil): want"}},
		{"no trust or drain", []middleware.Option{middleware.WithTrust(nil), middleware.WithDrain(nil)}, []string{"WithTrust(nil): want", "WithDrain(nil): want"}},
		{"nothing exempt, and routes as by default", []middleware.Option{middleware.WithExempt(nil), middleware.WithRoute(nil)}, nil},
		{"a limit below the least", []middleware.Option{middleware.WithConcurrency(4), middleware.WithShedding(middleware.Shedding{MinConcurrency: 5})}, []string{"WithConcurrency(4): want a limit within", "MinConcurrency 5"}},
		{"a limit above the most", []middleware.Option{middleware.WithShedding(middleware.Shedding{MaxConcurrency: 3}), middleware.WithConcurrency(4)}, []string{"WithConcurrency(4): want a limit within", "MaxConcurrency 3"}},
		{"a limit at both", []middleware.Option{middleware.WithConcurrency(4), middleware.WithShedding(middleware.Shedding{MinConcurrency: 4, MaxConcurrency: 4})}, nil},
		{"a limit above the default of the least", []middleware.Option{middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{})}, nil},
		{"no bound for the limit", []middleware.Option{middleware.WithConcurrency(20_000), middleware.WithShedding(middleware.Shedding{})}, nil},
	} {
		_, err := middleware.New(tt.opts...)
		if (err != nil) != (tt.want != nil) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v lacks %q", tt.name, err, want)
			}
		}
	}
}

// A handler that is missing is found when it is wrapped, not by its first
// request.
func TestNilHandler(t *testing.T) {
	wrap, err := middleware.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got, want := recover(), "middleware: nil handler"; got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	wrap(nil)
}
