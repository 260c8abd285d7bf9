package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// direct passes requests to a handler. A handler that aborts is a broken
// connection; one that panics otherwise is a base that panics.
type direct struct {
	handler http.Handler
	sent    atomic.Int64
}

func (d *direct) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	d.sent.Add(1)
	if req.Body != nil {
		defer req.Body.Close()
	}
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			err = io.ErrUnexpectedEOF
		} else if p != nil {
			panic(p)
		}
	}()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, req.Clone(req.Context()))
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	resp = w.Result()
	resp.Request = req
	return resp, nil
}

// moody succeeds, fails, stalls, aborts or panics, as often as its service says.
func moody(w http.ResponseWriter, r *http.Request) {
	time.Sleep(rand.N(20 * time.Millisecond))
	bad := 0.1
	if strings.HasPrefix(r.URL.Path, "/down") {
		bad = 0.9
	}
	if rand.Float64() > bad {
		io.WriteString(w, "hello")
		return
	}
	switch rand.N(6) {
	case 0:
		panic("bug")
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		<-r.Context().Done()
	case 3:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 4:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// count is a slog.Handler that counts lines by their message.
type count struct {
	mu    sync.Mutex
	lines map[string]int
}

func (*count) Enabled(context.Context, slog.Level) bool { return true }
func (c *count) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c *count) WithGroup(string) slog.Handler          { return c }
func (c *count) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[r.Message]++
	return nil
}

// spanCount is a span processor that counts.
type spanCount struct {
	mu            sync.Mutex
	open, orphans int
	ended         map[trace.SpanKind]int
}

func (c *spanCount) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
}

func (c *spanCount) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.ended[s.SpanKind()]++
	if s.SpanKind() == trace.SpanKindClient && !s.Parent().IsValid() {
		c.orphans++
	}
}

func (*spanCount) Shutdown(context.Context) error   { return nil }
func (*spanCount) ForceFlush(context.Context) error { return nil }

// sum adds up the samples of a metric whose labels pass.
func sum(t *testing.T, g prometheus.Gatherer, name string, pass func(labels map[string]string) bool) (n int) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch {
			case pass != nil && !pass(labels):
			case m.GetHistogram() != nil && strings.HasSuffix(name, "_seconds"):
				n += int(m.GetHistogram().GetSampleCount())
			case m.GetHistogram() != nil:
				n += int(m.GetHistogram().GetSampleSum())
			default:
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// Metrics, spans, logs and the server count the same attempts: with retries,
// hedges, cancellation, panics, broken connections and refusals of breaker, budget
// and guard.
func TestEverybodyCountsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers, each = 50, 200
		registry := prometheus.NewRegistry()
		metrics, err := prommetrics.New(registry, prommetrics.WithExemplars(traceOf))
		if err != nil {
			t.Fatal(err)
		}
		spans := &spanCount{ended: make(map[trace.SpanKind]int)}
		tracing, err := oteltrace.New(
			oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
			oteltrace.WithPropagators(propagation.TraceContext{}),
		)
		if err != nil {
			t.Fatal(err)
		}
		log := &count{lines: make(map[string]int)}
		wrap, err := middleware.New(middleware.WithConcurrency(20), middleware.WithAttempts(),
			middleware.WithObserver(metrics.Server()), middleware.WithObserver(tracing.ServerObserver()))
		if err != nil {
			t.Fatal(err)
		}
		circuits, err := breaker.New(breaker.WithTripRatio(0.5, 20), breaker.WithOpenFor(5*time.Second), breaker.WithObserver(metrics.Breaker()))
		if err != nil {
			t.Fatal(err)
		}
		base := &direct{handler: tracing.Server(wrap(http.HandlerFunc(moody)))}
		chain, err := transport.New(base, append(tracing.Client(),
			transport.WithServiceName(func(r *http.Request) string { return r.URL.Path[1:] }),
			transport.WithPolicy(transport.Policy{AttemptTimeout: 200 * time.Millisecond}),
			transport.WithBreaker(circuits.Wrap),
			transport.WithHedging(transport.Hedge{Delay: 15 * time.Millisecond, Ratio: 0.5}),
			transport.WithObserver(metrics.Client()),
			transport.WithObserver(transport.Log(slog.New(log))),
		)...)
		if err != nil {
			t.Fatal(err)
		}

		var panics atomic.Int64
		call := func() {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(time.Second))
			defer cancel()
			if rand.N(10) == 0 {
				time.AfterFunc(rand.N(30*time.Millisecond), cancel)
			}
			method, body := "GET", io.Reader(nil)
			if rand.N(4) == 0 {
				method, body = "POST", strings.NewReader("body")
			}
			service := []string{"up", "moody", "down"}[rand.N(3)]
			req, err := http.NewRequestWithContext(ctx, method, "http://api.test/"+service, body)
			if err != nil {
				t.Error(err)
				return
			}
			if resp, err := chain.RoundTrip(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					time.Sleep(rand.N(300 * time.Millisecond))
					call()
				}
			})
		}
		all.Wait()
		synctest.Wait()

		attempts := int(base.sent.Load())
		retry := func(labels map[string]string) bool { return labels["attempt"] != "1" }
		for name, n := range map[string]int{
			"evenkeel_client_attempts_total":           sum(t, registry, "evenkeel_client_attempts_total", nil),
			"evenkeel_client_call_attempts":            sum(t, registry, "evenkeel_client_call_attempts", nil),
			"evenkeel_client_attempt_duration_seconds": sum(t, registry, "evenkeel_client_attempt_duration_seconds", nil),
			"evenkeel_server_requests_total":           sum(t, registry, "evenkeel_server_requests_total", nil),
			"client spans":                             spans.ended[trace.SpanKindClient],
			"server spans":                             spans.ended[trace.SpanKindServer],
			"lines of attempts":                        log.lines["evenkeel: attempt"],
		} {
			if n != attempts {
				t.Errorf("%s: %d attempts, want the %d that were sent", name, n, attempts)
			}
		}
		for name, n := range map[string]int{
			"evenkeel_client_calls_total":           sum(t, registry, "evenkeel_client_calls_total", nil),
			"evenkeel_client_call_duration_seconds": sum(t, registry, "evenkeel_client_call_duration_seconds", nil),
			"spans of calls":                        spans.ended[trace.SpanKindInternal],
		} {
			if n != callers*each {
				t.Errorf("%s: %d calls, want %d", name, n, callers*each)
			}
		}
		retries := sum(t, registry, "evenkeel_client_retries_total", nil)
		if n := sum(t, registry, "evenkeel_client_attempts_total", retry); n != retries {
			t.Errorf("%d retries, of which %d have a reason", n, retries)
		}
		if spans.open != 0 || spans.orphans != 0 {
			t.Errorf("%d spans are still open, and %d attempts are in no call", spans.open, spans.orphans)
		}

		// Each of these happened at least once.
		seen := map[string]int{"panics": int(panics.Load()), "retries": retries}
		for _, reason := range []string{"hedge", "server_error", "error", "timeout"} {
			seen["retries after "+reason] = sum(t, registry, "evenkeel_client_retries_total",
				func(labels map[string]string) bool { return labels["reason"] == reason })
		}
		for _, stop := range []string{"succeeded", "cancelled", "budget", "breaker_open", "method", "deadline"} {
			seen["stop "+stop] = sum(t, registry, "evenkeel_client_calls_total",
				func(labels map[string]string) bool { return labels["stop"] == stop })
		}
		for what, n := range seen {
			if n == 0 {
				t.Errorf("no %s in the run", what)
			}
		}
		t.Log(attempts, "attempts", seen)
	})
}
